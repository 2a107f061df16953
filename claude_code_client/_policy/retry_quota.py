"""A bound on retries, state by all calls of a client, so that a server in trouble is not stormed.

The scheme and its figures are those of botocore's standard retry mode: each retry takes from a bucket, success gives
back, and an empty bucket means that errors are raised at once.
"""

from __future__ import annotations

import threading
from typing import Final

CAPACITY: Final = 500
COST: Final = 5
COST_OF_TIMEOUT: Final = 10
"""A server that does not answer is in more trouble than one that says no."""
INCOME: Final = 1
"""For a call that succeeds without a retry."""


class RetryQuota:
    """Safe to use from several threads."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._left = capacity
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """What retries may still take."""
        return self._left

    def take(self, *, timed_out: bool) -> int:
        """What the retry takes; 0 if there must be none."""
        cost = COST_OF_TIMEOUT if timed_out else COST
        with self._lock:
            if cost > self._left:
                return 0
            self._left -= cost
            return cost

    def give_back(self, taken: int) -> None:
        """A call has succeeded; ``taken`` is what its last retry took, 0 if it had none."""
        with self._lock:
            self._left = min(self._capacity, self._left + (taken or INCOME))
