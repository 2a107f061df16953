"""File of lines that threads and processes append to, and that may be replaced by a shorter one. Raises OSError."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

OWNER_ONLY = 0o600


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Open a file, creating it if need be, and lock out other threads and processes."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)
        try:
            with suppress(OSError):  # a file system without locks; one append is still one write
                fcntl.flock(file, fcntl.LOCK_EX)
            # Another process may have replaced the file before it let go of the lock.
            if _is_at(file, path):
                yield file
                return
        finally:
            os.close(file)


def append(file: int, line: bytes, path: Path) -> None:
    """Append a line, wholly or not at all, and write it to the disk."""
    size = os.fstat(file).st_size
    # A crash may have left an incomplete line, which must not run into this one.
    torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
    try:
        _write(file, b"\n" + line if torn else line)
        os.fsync(file)
    except OSError:
        with suppress(OSError):
            os.ftruncate(file, size)
        raise
    if size == 0:
        _sync_folder(path.parent)


def replace(file: int, path: Path, shorten: Callable[[bytes], bytes]) -> None:
    """Replace a locked file by a shorter one; a crash leaves the one or the other."""
    if not stat.S_ISREG(os.fstat(file).st_mode):
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return  # without locks, another process might append to the old file
    old = _read(file)
    new = shorten(old)
    if len(new) >= len(old):
        return
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with suppress(FileNotFoundError):
        temporary.unlink()  # left by a process that crashed
    copy = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_ONLY)
    try:
        try:
            _write(copy, new)
            os.fsync(copy)
        finally:
            os.close(copy)
        temporary.replace(target)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def restrict(file: int) -> None:
    """Let only the owner read and write a regular file."""
    status = os.fstat(file)
    if stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) & 0o077:
        os.fchmod(file, OWNER_ONLY)


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _read(file: int) -> bytes:
    parts: list[bytes] = []
    position = 0
    while part := os.pread(file, 1 << 20, position):
        parts.append(part)
        position += len(part)
    return b"".join(parts)


def _write(file: int, data: bytes) -> None:
    # A disk that is nearly full takes a part, and refuses the rest.
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that cannot
            raise
    finally:
        os.close(descriptor)
