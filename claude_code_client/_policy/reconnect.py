"""Whether, and when, to open again what was cut. No I/O."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from .._operations.effects import Operation, Sleep
from ..errors import (
    APIConnectionError,
    ClaudeAPIError,
    NotSupportedError,
    RateLimitError,
    ServerError,
    UnexpectedResponseError,
)
from .retry import BASE_DELAY, MAX_DELAY, MAX_RETRY_AFTER

MAX_RECONNECTS: Final = 5
"""Reconnections in a row that bring nothing new; each is a call of its own, with that call's retries."""
_HISTORY: Final = 20


def is_transient(error: ClaudeAPIError, *, opened: bool = False) -> bool:
    """Whether what went wrong may be over soon: a connection, a server or a proxy in trouble.

    Where it was ``opened`` before, an answer that is not of the API is a page of a proxy, which is trouble on the way.
    """
    if isinstance(error, NotSupportedError):
        return False
    if isinstance(error, UnexpectedResponseError):
        return opened
    return isinstance(error, APIConnectionError | RateLimitError | ServerError) or error.status_code == 408


class ReconnectBudget:
    """The reconnections of one stream. Whatever new comes gives it all of them again.

    The first after progress comes at once: a connection that is cut now and then costs no time. Those that follow wait
    with full jitter, as "Exponential Backoff And Jitter" (AWS Architecture Blog) has it.
    """

    def __init__(self, limit: int = MAX_RECONNECTS) -> None:
        self._limit = limit
        self._in_a_row = 0
        self.attempts = 0
        """HTTP attempts so far."""
        self._history: deque[str] = deque(maxlen=_HISTORY)

    @property
    def history(self) -> tuple[str, ...]:
        """What the last attempts met."""
        return tuple(self._history)

    def note(self, attempts: int, history: tuple[str, ...]) -> None:
        """Attempts that were made, and what they met."""
        self.attempts += attempts
        self._history.extend(history)

    def progress(self) -> None:
        """Something new has come."""
        self._in_a_row = 0

    def wait(self, random: Callable[[], float], *, asked: float | None = None) -> float | None:
        """Seconds to wait before the next reconnection; None if there must be none.

        Args:
            random: Gives a float in [0, 1).
            asked: Seconds that the server asks to wait (``Retry-After``, or ``retry`` of an event stream).
        """
        self._in_a_row += 1
        if self._in_a_row > self._limit or (asked is not None and asked > MAX_RETRY_AFTER):
            return None
        bound = min(BASE_DELAY * 2 ** (self._in_a_row - 2), MAX_DELAY) if self._in_a_row > 1 else 0.0
        return max(random() * bound, asked or 0.0)

    def pause(self, deadline: float, *, asked: float | None = None) -> Operation[bool]:
        """Wait before the next reconnection, not beyond ``deadline`` (monotonic seconds); False: there must be none."""
        wait = self.wait(random.random, asked=asked)  # jitter, not a secret
        if wait:
            yield Sleep(min(wait, max(deadline - time.monotonic(), 0.0)))
        return wait is not None
