"""Window of a request rate: how many requests a key may still make in it. No I/O."""

from __future__ import annotations

import math
from typing import Final

import attrs

WINDOW: Final = 60.0
"""Seconds. The windows of a key follow each other without a gap, from its first request on."""


@attrs.define
class RateWindow:
    """Requests of one key in the current window."""

    limit: int
    _start: float
    """Start of the window on a monotonic clock."""
    _used: int = 0

    def take(self, now: float) -> bool:
        """Count a request, and return whether it fits into the window. One that does not is not counted."""
        self._roll(now)
        if self._used >= self.limit:
            return False
        self._used += 1
        return True

    def remaining(self, now: float) -> int:
        """Return the requests left in the window."""
        self._roll(now)
        return self.limit - self._used

    def seconds_left(self, now: float) -> int:
        """Return the seconds until the next window starts, rounded up."""
        self._roll(now)
        return max(1, math.ceil(self._start + WINDOW - now))

    def _roll(self, now: float) -> None:
        passed = math.floor((now - self._start) / WINDOW)
        if passed > 0:
            self._start += passed * WINDOW
            self._used = 0
