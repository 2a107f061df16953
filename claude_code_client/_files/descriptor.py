"""Descriptors of open files that an interruption, such as Ctrl-C, can neither leak nor close twice."""

from __future__ import annotations

import os
from functools import partial


class Descriptor:
    """Descriptor of an open file. It is closed when its object is dropped, too."""

    _numbers: list[int] = []  # noqa: RUF012 (for an object that an interruption has left incomplete)

    def __init__(
        self, path: str | os.PathLike[str], flags: int, mode: int = 0o777, *, dir_fd: int | None = None
    ) -> None:
        """Open a file as ``os.open`` does. Raises OSError."""
        self._numbers: list[int] = []
        # One call into C, here and below: a signal handler may run, and raise, between any two of Python's own steps.
        self._numbers.extend(map(partial(os.open, dir_fd=dir_fd), (path,), (flags,), (mode,)))

    def fileno(self) -> int:
        """Return the number of the descriptor; -1, which no call to the system accepts, once it is closed."""
        return self._numbers[0] if self._numbers else -1

    def close(self) -> None:
        """Close the descriptor, once. Raises OSError."""
        if self._numbers:
            list(map(os.close, map(self._numbers.pop, (0,))))

    def __del__(self) -> None:
        self.close()
