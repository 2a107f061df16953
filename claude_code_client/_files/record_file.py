"""File of JSON records, one a line, that threads and processes append to and that is compacted now and then.

Every append holds a shared lock on the file (``flock``): appends need not exclude each other, so that a signal handler
may append while its thread does. A compaction holds the lock exclusively, or does not take place: it writes what is
still needed to a second file, which replaces the first one in one step. Whoever then gets the lock on the file that was
replaced opens the path again.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from .descriptor import Descriptor

Record = dict[str, Any]

_LOCK_TIMEOUT: Final = 5.0
"""Seconds to wait for a compaction by another process. It may be one that this thread has interrupted."""
_PAUSE: Final = 0.005
_OWNER_ONLY: Final = 0o600
_CHUNK: Final = 1 << 20
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK


class RecordFile:
    """Path of a file of records. Methods raise OSError and ValueError."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._in_folder: tuple[int, int] | None = None
        """Device and inode of the file that is known to outlive a crash under its path."""
        self.compacted_size = 0
        """Bytes of the file after the last compaction, or attempt at one, by this object."""

    def append(self, record: Record, compact: Callable[[int], bool] | None = None) -> None:
        """Append a record and write it to the disk.

        Compact the file afterwards if ``compact``, called with its size, returns True for it.
        """
        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        with self._locked() as file:
            _write_line(file, line)
            self._sync(file)
            if compact is not None and compact(os.fstat(file).st_size):
                self._compact(file)

    def compact(self) -> None:
        """Create the file if need be, and drop the records that nobody needs any more."""
        with self._locked() as file:
            self._compact(file)
            self._sync(file)

    def records(self) -> Iterator[tuple[int, Record]]:
        """Return the records with the numbers of their lines, without lines that a crash has cut short."""
        with self._locked() as file:
            lines = _read(file).split(b"\n")
        for number, line in enumerate(lines, 1):
            record = _record(line)
            if record is not None:
                yield number, record

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Open the file that has the path now, with a shared lock."""
        limit = time.monotonic() + _LOCK_TIMEOUT
        while True:
            with closing(Descriptor(self._path, _FLAGS, _OWNER_ONLY)) as opened:
                file = opened.fileno()
                check_kind(file)
                _lock(file, limit)
                if self._has_path(file):
                    yield file
                    return

    def _has_path(self, file: int) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(file), Path(self._path).stat())
        return False

    def _sync(self, file: int) -> None:
        os.fsync(file)
        status = os.fstat(file)
        if self._in_folder != (status.st_dev, status.st_ino):
            sync_folder(Path(self._path).resolve())
            self._in_folder = (status.st_dev, status.st_ino)

    def _compact(self, file: int) -> None:
        """Drop settled records, unless somebody else uses the file just now or it holds something else than records."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        # The lock was given up for a moment.
        if not self._has_path(file):
            return
        path = Path(self._path).resolve()
        successor = path.with_name(f"{path.name}.compacted")
        with suppress(FileNotFoundError):
            successor.unlink()  # of a compaction that was killed
        self.compacted_size = os.fstat(file).st_size
        needed = _needed(_read(file).split(b"\n"))
        if needed is None:
            return
        try:
            _write_file(successor, needed)
            successor.replace(path)
            sync_folder(path)
            self.compacted_size = sum(len(line) + 1 for line in needed)
        except OSError:
            # A full disk, or a file that is mounted by itself: the records stay.
            with suppress(OSError):
                successor.unlink()


def _lock(file: int, limit: float) -> None:
    """Take a shared lock; none if the file system has no locks."""
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                return None
        if time.monotonic() >= limit:
            raise TimeoutError(errno.ETIMEDOUT, "another process, or the code that was interrupted, does not let it go")
        time.sleep(_PAUSE)


def check_kind(file: int) -> None:
    """Take the permissions of others away. Raises OSError for what is not a regular file."""
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    if status.st_mode & 0o177:
        with suppress(PermissionError):  # the file of another user
            os.fchmod(file, _OWNER_ONLY)


def _write_line(file: int, line: bytes) -> None:
    """Append a whole line. Raises OSError if the disk is full; what was written of the line then is no record."""
    size = os.fstat(file).st_size
    after_newline = size == 0 or os.pread(file, 1, size - 1) == b"\n"
    while True:
        # A crash, or a full disk, may have left an incomplete line, which must not run into this one.
        data = line if after_newline else b"\n" + line
        if os.write(file, data) < len(data):
            after_newline = False
            continue  # from its start: somebody else may have appended in between
        start = os.lseek(file, 0, os.SEEK_CUR) - len(data)
        if not after_newline or start <= 0 or os.pread(file, 1, start - 1) == b"\n":
            return
        after_newline = False  # somebody else has left an incomplete line


def _write_file(path: Path, lines: Iterable[bytes]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with closing(Descriptor(path, flags, _OWNER_ONLY)) as file:
        left = memoryview(b"".join(line + b"\n" for line in lines))
        while left:
            left = left[os.write(file.fileno(), left) :]
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Write the entry of a file in its folder to the disk. Raises OSError."""
    with closing(Descriptor(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as folder:
        os.fsync(folder.fileno())


def _read(file: int) -> bytes:
    parts: list[bytes] = []
    offset = 0
    while part := os.pread(file, _CHUNK, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def _record(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("key"), str) else None


def _needed(lines: list[bytes]) -> list[bytes] | None:
    """Return the lines of records that are not settled; None if nothing is to be dropped, or the file is not ours."""
    records = [(line, _record(line)) for line in lines if line.strip()]
    if any(record is None and not line.startswith(b'{"key": ') for line, record in records):
        return None
    settled = {record["key"] for _, record in records if record is not None and record.get("done")}
    needed = [line for line, record in records if record is not None and record["key"] not in settled]
    return None if len(needed) == len(records) else needed
