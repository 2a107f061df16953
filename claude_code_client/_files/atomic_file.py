"""File that is stored whole or not at all, below a directory that it must not leave.

Every name is looked up from the descriptor of its directory, and never through a symbolic link. So nobody can redirect
the file, not even by replacing a directory with a link during the download.
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
from .descriptor import Descriptor
from .directory import Directory
from .safe_path import path_segments

_ATTEMPTS: Final = 5
"""Attempts to reach the file's directory; another download may remove a directory that it created and left unused."""
_MAX_PATH_BYTES: Final = 4096
"""PATH_MAX of Linux. Descriptors allow longer paths, but such a file could not be opened by its path."""
_NEW_FILE: Final = 0o666
_CREATE_EXCLUSIVELY: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def check_destination(to: str | os.PathLike[str]) -> str:
    """Return ``to`` as a str. Raises InvalidRequestError if it cannot be a path."""
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
    """File under a temporary name until it is committed. Another thread may discard it at any time."""

    def __init__(self, destination: Path, root: str, names: tuple[str, ...], *, create_root: bool) -> None:
        self._destination = destination
        self._root = root
        self._names = names
        self._create_root = create_root
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._route: list[str] = []
        """Names of the directories from the first that existed to the file."""
        self._directories: list[Directory] = []
        """Open directories of the route."""
        self._created: list[tuple[Directory, str]] = []
        """Directories that did not exist, each as its parent and its name."""
        self._temporary = ""
        self._file: Descriptor | None = None
        self._discarded = False

    @classmethod
    def locate(cls, to: str, artifact_path: str) -> Self:
        """Return the file that ``to`` names or, if ``to`` is a directory, the artifact's own path in it.

        Symbolic links in ``to`` are the user's choice, and are followed. Raises UnsafePathError, StorageError.
        """
        with storage_errors(to):
            destination = Path(to).absolute()
            root = os.path.realpath(to)
            if not (to.endswith(os.sep) or os.path.isdir(root)):  # noqa: PTH112 (pathlib hides some errors)
                root, name = os.path.split(root)
                return cls(destination, root, (name,), create_root=False)
            names = path_segments(artifact_path)
            return cls(destination.joinpath(*names), root, names, create_root=True)

    def begin(self) -> None:
        """Create missing directories, and a temporary file next to the destination."""
        with self._guard():
            if len(os.fsencode(self._destination)) >= _MAX_PATH_BYTES:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    self._enter()
                    self._create()
                    break
                except FileNotFoundError:
                    if attempt == _ATTEMPTS:
                        raise
                    self._clean_up()

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        with self._guard() as file:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]

    def restart(self) -> None:
        """Drop everything that was written."""
        with self._guard() as file:
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)

    def commit(self) -> Path:
        """Move the file to its destination in one step, and return the destination."""
        with self._guard() as file:
            os.fsync(file)
            self._close()
            self._check_route()
            directory = self._directories[-1]
            directory.replace(self._temporary, self._names[-1])
            changed = [*(parent for parent, _ in self._created), directory]
            self._temporary, self._created = "", []
            # The file is whole and at its destination, so a directory that cannot be synced is not an error.
            for directory in changed:
                with suppress(OSError):
                    directory.sync()
        return self._destination

    def discard(self) -> None:
        """Remove everything that was not committed."""
        with self._lock:
            self._discarded = True
            self._clean_up()

    def _clean_up(self) -> None:
        with suppress(OSError):
            self._close()
        # A forked process has a copy of this object, but the files belong to its parent.
        if os.getpid() == self._process:
            if self._temporary:
                with suppress(OSError):
                    self._directories[-1].unlink(self._temporary)
            for directory, name in reversed(self._created):
                with suppress(OSError):
                    directory.rmdir(name)
        for directory in self._directories:
            with suppress(OSError):
                directory.close()
        self._temporary, self._created, self._directories = "", [], []

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    @contextmanager
    def _guard(self) -> Iterator[int]:
        """Keep other threads from discarding the file meanwhile. Yield the descriptor of the temporary file, or -1."""
        with self._lock, storage_errors(self._destination):
            if self._discarded:
                raise ArtifactError("The download was cancelled.")
            yield -1 if self._file is None else self._file.fileno()

    def _enter(self) -> None:
        """Open the directories on the route to the file, and create missing ones."""
        root, *self._route = self._root, *self._names[:-1]
        while self._create_root and not os.path.lexists(root):
            root, name = os.path.split(root)
            self._route.insert(0, name)
        self._directories.append(Directory.open(root))
        for name in self._route:
            parent = self._directories[-1]
            try:
                directory = parent.enter(name)
            except FileNotFoundError:
                with suppress(FileExistsError):
                    parent.mkdir(name)
                    self._created.append((parent, name))
                directory = parent.enter(name)
            if directory is None:
                raise _unsafe_route(name, self._destination)
            self._directories.append(directory)

    def _check_route(self) -> None:
        """Raise UnsafePathError if a directory was moved or replaced since ``begin()``."""
        for parent, name, directory in zip(self._directories, self._route, self._directories[1:], strict=False):
            if not parent.contains(name, directory):
                raise _unsafe_route(name, self._destination)

    def _create(self) -> None:
        directory = self._directories[-1]
        mode = None
        with suppress(FileNotFoundError):
            mode = _mode_to_keep(directory.stat(self._names[-1]))
        # Set before the file exists, so that Ctrl-C at any moment leaves no file behind.
        self._temporary = f".{secrets.token_hex(12)}.part"
        self._file = directory.open_file(
            self._temporary, _CREATE_EXCLUSIVELY, _NEW_FILE if mode is None else stat.S_IRUSR | stat.S_IWUSR
        )
        if mode is not None:
            os.fchmod(self._file.fileno(), mode)


def _mode_to_keep(old: os.stat_result) -> int | None:
    """Return the permissions of the file to replace; None for a link. Raises OSError if it must not be replaced."""
    if stat.S_ISDIR(old.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if stat.S_ISLNK(old.st_mode):
        return None
    if not stat.S_ISREG(old.st_mode):
        raise OSError(errno.EINVAL, "it is a device, a pipe or a socket")
    return stat.S_IMODE(old.st_mode) & 0o777


def _unsafe_route(name: str, destination: Path) -> UnsafePathError:
    return UnsafePathError(
        f"The path to {str(destination)!r} leads through {name!r}, which is a symbolic link or was moved. "
        "Nothing was written; to store the artifact, pass the path of a file instead."
    )


@contextmanager
def storage_errors(destination: str | Path) -> Iterator[None]:
    """Convert the errors of the file system to StorageError."""
    problem: StorageError | None = None
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        problem = _storage_error(destination, error.errno, error.strerror or type(error).__name__)
    except UnicodeError:
        problem = _storage_error(destination, errno.EILSEQ, "the system's file names cannot have such characters")
    if problem is not None:
        raise problem


def _storage_error(destination: str | Path, code: int | None, reason: str) -> StorageError:
    advice = _ADVICE.get(code or 0, "Pass another path.")
    error = StorageError(f"Cannot store the artifact at {str(destination)!r}: {reason}. {advice}")
    error.errno, error.strerror = code, reason
    return error


_ADVICE: Final = {
    errno.ENOSPC: "Make room on the disk, or pass a path on another disk.",
    errno.EDQUOT: "Make room within the quota, or pass a path on another disk.",
    errno.EFBIG: "The artifact exceeds the largest size that the file system, or a limit of this process, allows.",
    errno.EACCES: "Get the right to write to the directory, or pass another path.",
    errno.EPERM: "Get the right to write to the directory, or pass another path.",
    errno.EROFS: "Pass a path on another disk: this one is read-only.",
    errno.ENOENT: "Create the directory first, or pass it with a separator at the end to have it created.",
    errno.ENOTDIR: "A directory on the path is a file: move it away, or pass another path.",
    errno.EISDIR: "A directory has this name: pass the path of a file in it, or move the directory away.",
    errno.ENAMETOOLONG: "Pass a shorter path.",
}
