"""Pace of new calls: ``Retry-After`` and ``X-RateLimit-*`` are followed before the server has to refuse a call.

No I/O, no clock of its own. The server counts requests in windows; its headers say how many are left in this one, and
when the next begins. A server that sends them only with status 429 teaches the length of its window by two of them.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Final

import attrs

from ..._policy.retry import parse_retry_after
from ..._wire.response_headers import header_number

_SAME: Final = 1.0
"""Seconds. Headers count in whole seconds: ends of windows that differ by less are the same one."""
_ON_THE_WAY: Final = 1.0
"""Seconds that a request may take to reach the server."""
_ON_THE_WAY_SHARE: Final = 0.1
"""Most of it, as a share of the window: windows may be shorter than a second."""
_LONGEST: Final = 86_400.0


@attrs.define
class RequestPace:
    """Calls that may start before the server's next window, and the time at which that begins."""

    _limit: int | None = None
    _left: int | None = None
    """Calls that may still start in this window; None if nothing is known."""
    _used: int = 0
    """Calls that have started in this window."""
    _again: int = 0
    """Calls that were refused in this window, and will be sent again in the next one."""
    _lately: deque[float] = attrs.field(factory=deque)
    """Times of the last calls: at the turn of a window, the server may count them in the next one."""
    _resets_at: float | None = None
    _reported: float | None = None
    """Last end of a window that the server has reported; ``_resets_at`` may be a prediction."""
    _window: float | None = None
    """Seconds from one reset to the next, as reported."""
    _guess: float | None = None
    """Least length of the window, while only one end of a window is known."""
    _first: float | None = None
    """Time of the first call."""
    _not_before: float = 0.0

    def delay(self, now: float) -> float:
        """Return the seconds until the next call may start; 0 if it may start now."""
        if now < self._not_before:
            return self._not_before - now
        self._begin_window(now)
        if self._left is None or self._left > 0 or self._resets_at is None:
            return 0.0
        return self._resets_at - now

    def started(self, now: float) -> None:
        """Note a call that starts at ``now``."""
        if self._first is None:
            self._first = now
        self._used += 1
        self._lately.append(now)
        while self._lately[0] < now - _ON_THE_WAY:
            self._lately.popleft()
        if self._left is not None:
            self._left -= 1

    def unused(self, count: int) -> None:
        """Note that calls which were to start have not started."""
        self._used = max(self._used - count, 0)
        if self._left is not None:
            self._left += count

    def time_left(self, now: float) -> float:
        """Return the seconds until the window ends; infinite if there is none."""
        self._begin_window(now)
        return math.inf if self._resets_at is None else self._resets_at - now

    def responded(self, now: float, status: int, headers: Mapping[str, str]) -> bool:
        """Note a response. Return whether it carried a rate limit."""
        self._begin_window(now)
        if status in (429, 503, 529):
            wait = parse_retry_after(headers.get("retry-after"))
            if wait is not None:
                self._not_before = max(self._not_before, now + min(wait, _LONGEST))
        left = header_number(headers, "remaining")
        if left is None and status != 429:
            return False
        limit, reset = header_number(headers, "limit"), header_number(headers, "reset")
        if status == 429:
            self._again += 1
            left = left or 0.0
        if left is None or reset is None:
            return False
        if limit is not None:
            self._limit = int(limit)
        self._note_reset(now + min(reset, _LONGEST), refused=status == 429)
        # The server knows of other programs with this key; this one knows of the calls that are on their way.
        own = int(left) if self._limit is None else self._limit - self._used
        self._left = min(int(left), own if self._left is None else self._left)
        return True

    def _note_reset(self, at: float, *, refused: bool) -> None:
        if self._reported is None:
            if refused and self._first is not None:
                # The window began before the first call, or with it.
                self._guess = max(at - self._first, _SAME)
        elif at - self._reported > _SAME:
            gap = at - self._reported
            self._window = gap if self._window is None else min(self._window, gap)
        # Within one window, the latest is safe: a server may round down.
        same = self._reported is not None and abs(at - self._reported) <= _SAME
        self._reported = self._resets_at = max(at, self._reported or at) if same else at

    def _begin_window(self, now: float) -> None:
        """Begin the next window, if it is time."""
        began = self._resets_at
        if began is None or now < began:
            return
        window = self._window or self._guess
        on_the_way = _ON_THE_WAY if window is None else min(_ON_THE_WAY, window * _ON_THE_WAY_SHARE)
        self._used, self._again = self._again + sum(start > began - on_the_way for start in self._lately), 0
        self._left = None if self._limit is None else self._limit - self._used
        self._resets_at = None if window is None else began + window * (math.floor((now - began) / window) + 1)
