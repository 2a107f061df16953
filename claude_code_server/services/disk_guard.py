"""Disk guard: refuses new work before a full disk hurts the work that runs."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ..domain.errors import overloaded

_RETRY_AFTER: Final = 60.0
"""Seconds."""
_AMPLE: Final = 2_000_000_000
"""Bytes beyond what is needed, which nothing fills in the time for which they are trusted."""
_TRUST: Final = 0.5
"""Seconds."""


class DiskGuard:
    """Check of the free space in some folders, which costs microseconds."""

    def __init__(self, folders: Iterable[Path], min_free_bytes: int) -> None:
        self._folders = tuple(folders)
        self._min_free_bytes = min_free_bytes
        self._known_free = 0.0
        self._known_until = 0.0

    def is_low(self) -> bool:
        """Return whether less space than ``min_free_bytes`` is left."""
        return self._least_free() < self._min_free_bytes

    def check(self) -> None:
        """Raise ApiError 503 if less space than ``min_free_bytes`` is left. Look less often while there is plenty."""
        now = time.monotonic()
        if now < self._known_until and self._known_free > self._min_free_bytes + _AMPLE:
            return
        free = self._least_free()
        self._known_free, self._known_until = free, now + _TRUST
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
