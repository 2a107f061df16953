"""Memory of the server process: what a large task has used goes back to the operating system."""

from __future__ import annotations

import contextlib
import ctypes
from typing import Final

# Parameters of mallopt(3).
_M_TRIM_THRESHOLD: Final = -1
_M_ARENA_MAX: Final = -8
_KEPT: Final = 64 * 1024
"""Bytes of freed memory that the C library may keep."""


def return_freed_memory() -> None:
    """Make glibc return freed memory at once, for the whole process. Do nothing with other C libraries.

    By default every thread has a pool of its own, and the pools keep tens of megabytes after a few large replies.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
