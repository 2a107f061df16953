"""Deadlines of one call about a task. Pure: every time is passed in, in seconds on the monotonic clock.

The server ends a task by itself once its timeout is over. A call waits a little longer, to learn the outcome; if it
learns nothing, it cancels the task:

    |--- timeout ---|--- grace ---|--- grace ---|
    start           server ends   |             |
                    the task      call deadline grace deadline
                                  (cancels)     (gives up)
"""

from __future__ import annotations

import math
from typing import Final, Self

import attrs

LONG_POLL: Final = 25.0
"""Seconds that one request waits for the end of a task; shorter than the timeouts of common proxies."""
CANCEL_TIMEOUT: Final = 1.5
"""Seconds that cancelling a task may delay a caller who has left it."""
_GRACE_SHARE: Final = 0.1
"""Share of a timeout by which a call may exceed it to learn how the task stands."""
_MAX_GRACE: Final = 5.0
"""Seconds; upper bound of that share."""


@attrs.frozen(kw_only=True)
class TaskDeadlines:
    """Deadlines of one call that submits or follows a task."""

    timeout: float
    """Seconds that the caller allows."""
    call: float
    """Time at which the call gives up waiting for the task."""
    grace: float
    """Seconds after it for cancelling the task and learning how it stands."""
    stall_timeout: float | None = None
    """Seconds without an event after which the task counts as stalled."""

    @classmethod
    def starting_at(cls, now: float, timeout: float, stall_timeout: float | None = None) -> Self:
        """Return the deadlines of a call that starts now."""
        # One half is for the server's report that it has ended the task, the other for cancelling it.
        grace = min(timeout * _GRACE_SHARE, _MAX_GRACE) / 2
        return cls(timeout=timeout, call=now + timeout + grace, grace=grace, stall_timeout=stall_timeout)

    def is_expired(self, now: float) -> bool:
        return now >= self.call

    def grace_deadline(self, now: float) -> float:
        """Return the deadline for cancelling a task that has exceeded its timeout."""
        return max(self.call, now) + self.grace

    def cleanup_deadline(self, now: float) -> float:
        """Return the deadline for cancelling, or getting once more, the task of a call that fails."""
        return min(cancel_deadline(now), self.grace_deadline(now))

    def stall_deadline(self, now: float) -> float:
        """Return the deadline for cancelling a task that has stalled."""
        return now + min((self.stall_timeout or 0.0) * _GRACE_SHARE, CANCEL_TIMEOUT)

    def long_poll(self, now: float) -> int:
        """Return the whole seconds that the next request may wait on the server for the end of the task."""
        return max(0, math.ceil(min(LONG_POLL, self.call - now)))


def cancel_deadline(now: float) -> float:
    """Return the deadline for cancelling a task that its caller has left."""
    return now + CANCEL_TIMEOUT
