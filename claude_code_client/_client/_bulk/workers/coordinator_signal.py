"""Signal that a batch's coordinator is there: a lock on a file, which the system ends if the process is killed.

Workers on the same machine watch it, and end their calls within a moment of its end. To workers on other machines there
is no such file; they end with their chunk.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

import attrs

from ..inheritance import close_in_children


@attrs.frozen
class SignalFile:
    """File that a coordinator has locked, as it tells workers of it."""

    path: str
    directory: tuple[str, int, int]
    """Machine, device and inode of the directory, by which workers know whether it is theirs."""


class CoordinatorSignal:
    """Locked file of a coordinator."""

    def __init__(self) -> None:
        descriptor, path = tempfile.mkstemp(prefix="claude-code-batch-")
        self.file = SignalFile(path, _directory(path))
        self._file = os.fdopen(descriptor, "rb")
        close_in_children(self._file)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def end(self) -> None:
        """Tell the workers to stop. Can be called more than once."""
        with suppress(OSError):
            Path(self.file.path).unlink()
        self._file.close()


class CoordinatorWatch:
    """Watch of a worker over its coordinator."""

    def __init__(self, file: SignalFile) -> None:
        self._path = file.path
        self._file: IO[bytes] | None = None
        self._is_here = False
        with suppress(OSError):
            self._is_here = _directory(file.path) == file.directory
            self._file = Path(file.path).open("rb")  # noqa: SIM115 (open until close())

    def has_ended(self) -> bool:
        """Return whether the coordinator has ended the batch, or was killed."""
        if self._file is None:
            return self._is_here  # it has been removed; on another machine it has never been
        if os.fstat(self._file.fileno()).st_nlink == 0:
            return True
        try:
            fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        with suppress(OSError):  # it was killed, and cannot remove it
            Path(self._path).unlink()
        return True

    def close(self) -> None:
        """End the watch."""
        if self._file is not None:
            self._file.close()


def _directory(path: str) -> tuple[str, int, int]:
    found = Path(path).parent.stat()
    return socket.gethostname(), found.st_dev, found.st_ino
