"""Disk guard: refuses new work before a full disk hurts the work that runs."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ..domain.errors import overloaded

_RETRY_AFTER: Final = 60.0
"""Seconds."""


class DiskGuard:
    """Check of the free space in some folders, which costs microseconds."""

    def __init__(self, folders: Iterable[Path], min_free_bytes: int) -> None:
        self._folders = tuple(folders)
        self._min_free_bytes = min_free_bytes

    def is_low(self) -> bool:
        """Return whether less space than ``min_free_bytes`` is left."""
        return self._least_free() < self._min_free_bytes

    def check(self) -> None:
        """Raise ApiError 503 if less space than ``min_free_bytes`` is left."""
        free = self._least_free()
        if free < self._min_free_bytes:
            raise overloaded(
                f"The server's disk has {free / 1e6:.0f} MB left, and new work needs"
                f" {self._min_free_bytes / 1e6:.0f} MB. Nothing was started. Free some space, or lower the limit"
                " (--min-free-bytes).",
                _RETRY_AFTER,
            )

    def _least_free(self) -> float:
        return min(map(_free_bytes, self._folders), default=math.inf)


def _free_bytes(folder: Path) -> float:
    """Return the space that is left for this user; infinity if it is not known."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return math.inf
    return status.f_bavail * status.f_frsize
