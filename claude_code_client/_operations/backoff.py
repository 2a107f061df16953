"""Waiting between the connections of one stream or download. No I/O."""

from __future__ import annotations

import random
import time

from .._policy.reconnect import ReconnectBudget
from .effects import Operation, Sleep


def wait_to_reconnect(
    reconnects: ReconnectBudget, deadline: float, *, retry_after: float | None = None
) -> Operation[bool]:
    """Wait before the next connection; return False, without waiting, if there must be none.

    Args:
        reconnects: The reconnections made so far.
        deadline: Seconds on the monotonic clock, which the wait does not cross.
        retry_after: Seconds that the server asks to wait.
    """
    delay = reconnects.next_delay(random.random, retry_after=retry_after)  # jitter, not a secret
    if delay:
        yield Sleep(min(delay, max(deadline - time.monotonic(), 0.0)))
    return delay is not None
