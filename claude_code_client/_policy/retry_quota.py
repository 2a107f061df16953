"""Limit on the retries of all calls of a client, so that many calls do not overload a server in trouble.

The scheme and its numbers are those of botocore's standard retry mode: each retry acquires tokens from a bucket,
success releases some, and while the bucket is empty errors are raised at once.
"""

from __future__ import annotations

import threading
from typing import Final

CAPACITY: Final = 500
"""Tokens in a full bucket."""
COST: Final = 5
"""Tokens for one retry."""
COST_OF_TIMEOUT: Final = 10
"""Tokens for one retry after a timeout: a server that does not respond is in more trouble than one that refuses."""
INCOME: Final = 1
"""Tokens for a call that succeeds without a retry."""


class RetryQuota:
    """Bucket of retry tokens. Threads may share it."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._available = capacity
        # Reentrant: a signal handler may make a call.
        self._lock = threading.RLock()

    @property
    def available(self) -> int:
        """Tokens left for retries."""
        return self._available

    def acquire(self, *, timed_out: bool) -> int:
        """Take the tokens for one retry and return their number; return 0 if there are too few."""
        cost = COST_OF_TIMEOUT if timed_out else COST
        with self._lock:
            if cost > self._available:
                return 0
            self._available -= cost
            return cost

    def release(self, acquired: int) -> None:
        """Put tokens back after a call that succeeded. ``acquired`` are those of its last retry, 0 without a retry."""
        with self._lock:
            self._available = min(self._capacity, self._available + (acquired or INCOME))
