"""Disk guard: refuses new work before a full disk hurts the work that runs."""

from __future__ import annotations

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

    def check(self) -> None:
        """Raise ApiError 503 if less space than ``min_free_bytes`` is left."""
        for folder in self._folders:
            free = _free_bytes(folder)
            if free is not None and free < self._min_free_bytes:
                raise overloaded(
                    f"The server's disk has {free / 1e6:.0f} MB left, and new work needs"
                    f" {self._min_free_bytes / 1e6:.0f} MB. Nothing was started. Free some space, or lower the limit"
                    " (--min-free-bytes).",
                    _RETRY_AFTER,
                )


def _free_bytes(folder: Path) -> int | None:
    """Return the space that is left for this user; None if it is not known."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize
