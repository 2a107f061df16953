"""Storing a file whole, or not at all, below a folder that it must not leave.

On POSIX every name is looked up from the descriptor of the folder that it is in, and never through a symbolic link:
nobody can lead the file elsewhere, not even by swapping a folder for a link while the file is on its way.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from ..errors import ArtifactError, InvalidRequestError, StorageError, UnsafePathError
from .directory import Directory
from .safe_path import path_segments

_ATTEMPTS: Final = 5
"""How often the way to the file is walked: another download may remove a folder that it made and does not need."""
_LONGEST: Final = 4096
"""Bytes of a path that Linux takes from a user; walked name by name, it could become one that nobody can name."""
_NEW_FILE: Final = 0o666
_TAKEN: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
"""How a temporary file is opened."""
_SEPARATORS: Final = tuple(filter(None, (os.sep, os.altsep)))


def check_destination(to: str | os.PathLike[str]) -> str:
    """``to`` as a str. Raises InvalidRequestError for what can be no path."""
    try:
        path = os.fspath(to)
    except TypeError:
        path = None
    if not isinstance(path, str):
        raise InvalidRequestError(f"to must be a str or a path, not {type(to).__name__}.", param="to")
    try:
        usable = path != "" and b"\0" not in os.fsencode(path)
    except UnicodeError:
        usable = False
    if not usable:
        raise InvalidRequestError("to must be a path: not empty, and without NUL.", param="to")
    return path


class AtomicFile:
    """A file on its way to its place. Safe to discard from another thread, whatever it is doing."""

    def __init__(self, place: Path, root: str, names: tuple[str, ...], *, root_is_made: bool) -> None:
        self._place = place
        self._root = root
        self._names = names
        self._root_is_made = root_is_made
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._way: list[str] = []
        """The names of the folders that lead to the file, from the first that was there on."""
        self._folders: list[Directory] = []
        self._made: list[tuple[Directory, str]] = []
        """Folders that were not there, each with the one that it is in."""
        self._temporary = ""
        self._file: int | None = None
        self._over = False

    @classmethod
    def locate(cls, to: str, artifact_path: str) -> Self:
        """The file that ``to`` names, or the artifact's own path below the folder that it names.

        What ``to`` leads through is the user's choice, links included. Raises UnsafePathError, StorageError.
        """
        with told(to):
            place = Path(to).absolute()
            root = os.path.realpath(to)
            if not (to.endswith(_SEPARATORS) or os.path.isdir(root)):  # noqa: PTH112 (pathlib hides some errors)
                root, name = os.path.split(root)
                return cls(place, root, (name,), root_is_made=False)
            names = path_segments(artifact_path)
            return cls(place.joinpath(*names), root, names, root_is_made=True)

    def begin(self) -> None:
        """Make a temporary file beside the place, and the folders that are missing."""
        with self._working():
            if len(os.fsencode(self._place)) >= _LONGEST:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    self._enter()
                    self._create()
                    break
                except FileNotFoundError:
                    if attempt == _ATTEMPTS:
                        raise
                    self._leave()

    def write(self, data: bytes) -> None:
        with self._working() as file:
            left = memoryview(data)
            while left:
                left = left[os.write(file, left) :]

    def restart(self) -> None:
        """Forget what was written."""
        with self._working() as file:
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)

    def commit(self) -> Path:
        """Put what was written in its place, in one step, and give that place."""
        with self._working() as file:
            os.fsync(file)
            self._close()
            self._check_way()
            folder = self._folders[-1]
            folder.replace(self._temporary, self._names[-1])
            changed = [*(parent for parent, _ in self._made), folder]
            self._temporary, self._made = "", []
            # The file is in its place and whole; where folders cannot be synced there is nothing to be done.
            for folder in changed:
                with suppress(OSError):
                    folder.sync()
        return self._place

    def discard(self) -> None:
        """Leave no trace of what was not committed."""
        with self._lock:
            self._over = True
            self._leave()

    def _leave(self) -> None:
        with suppress(OSError):
            self._close()
        # A fork has a copy of this object; the file is its parent's.
        if os.getpid() == self._process:
            if self._temporary:
                with suppress(OSError):
                    self._folders[-1].unlink(self._temporary)
            for folder, name in reversed(self._made):
                with suppress(OSError):
                    folder.rmdir(name)
        for folder in self._folders:
            with suppress(OSError):
                folder.close()
        self._temporary, self._made, self._folders = "", [], []

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)

    @contextmanager
    def _working(self) -> Iterator[int]:
        """Within, nobody discards it. Gives the temporary file's descriptor, once there is one."""
        with self._lock, told(self._place):
            if self._over:
                raise ArtifactError("The download was given up.")
            yield -1 if self._file is None else self._file

    def _enter(self) -> None:
        """Open the folder that the file is to be in."""
        root, *self._way = self._root, *self._names[:-1]
        while self._root_is_made and not os.path.lexists(root):
            root, name = os.path.split(root)
            self._way.insert(0, name)
        self._folders.append(Directory.open(root))
        for name in self._way:
            here = self._folders[-1]
            try:
                inner = here.enter(name)
            except FileNotFoundError:
                with suppress(FileExistsError):
                    here.mkdir(name)
                    self._made.append((here, name))
                inner = here.enter(name)
            if inner is None:
                raise _through_link(name, self._place)
            self._folders.append(inner)

    def _check_way(self) -> None:
        """Raises UnsafePathError where something else has come into the way meanwhile."""
        for outer, name, inner in zip(self._folders, self._way, self._folders[1:], strict=False):
            if not outer.leads_to(name, inner):
                raise _through_link(name, self._place)

    def _create(self) -> None:
        folder = self._folders[-1]
        mode = None
        with suppress(FileNotFoundError):
            mode = _mode_to_keep(folder.stat(self._names[-1]))
        # Noted first, so that Ctrl-C at any moment leaves no file.
        self._temporary = f".{secrets.token_hex(12)}.part"
        self._file = folder.open_file(self._temporary, _TAKEN, _NEW_FILE if mode is None else 0o600)
        if mode is not None and hasattr(os, "fchmod"):
            os.fchmod(self._file, mode)


def _mode_to_keep(old: os.stat_result) -> int | None:
    """The permissions of what is replaced. Raises OSError for what is not to be replaced."""
    if stat.S_ISDIR(old.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if stat.S_ISLNK(old.st_mode):
        return None
    if not stat.S_ISREG(old.st_mode):
        raise OSError(errno.EINVAL, "it is a device, a pipe or a socket")
    return stat.S_IMODE(old.st_mode) & 0o777


def _through_link(name: str, place: Path) -> UnsafePathError:
    return UnsafePathError(
        f"The artifact's way to {str(place)!r} leads through {name!r}, which is a link or was moved. "
        "Nothing was written; to store it, name a file yourself."
    )


@contextmanager
def told(place: str | Path) -> Iterator[None]:
    """Turns what a file system can say into StorageError."""
    problem: StorageError | None = None
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        problem = _storage_error(place, error.errno, error.strerror or type(error).__name__)
    except UnicodeError:
        problem = _storage_error(place, errno.EILSEQ, "this system's file names cannot have such characters")
    if problem is not None:
        raise problem


def _storage_error(place: str | Path, code: int | None, reason: str) -> StorageError:
    advice = _ADVICE.get(code or 0, "Name another place.")
    error = StorageError(f"The artifact cannot be stored at {str(place)!r}: {reason}. {advice}")
    error.errno, error.strerror = code, reason
    return error


_ADVICE: Final = {
    errno.ENOSPC: "Make room on the disk, or name a place on another one.",
    errno.EDQUOT: "Make room within the quota, or name a place on another disk.",
    errno.EFBIG: "It is larger than the file system, or a limit of this process, allows.",
    errno.EACCES: "Get the right to write into the folder, or name another one.",
    errno.EPERM: "Get the right to write into the folder, or name another one.",
    errno.EROFS: "Name a place on another disk: this one is read-only.",
    errno.ENOENT: "Make the folder first; one that is named with a separator at its end is made.",
    errno.ENOTDIR: "What should be a folder is a file: move it away, or name another place.",
    errno.EISDIR: "A folder has this name: name a file in it, or move the folder away.",
    errno.ENAMETOOLONG: "Name a file with a shorter path.",
}
