"""Reconnecting an interrupted stream, wait or download: whether to, and when. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

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
"""Consecutive reconnections without progress; each is a request with its own retries."""
_HISTORY_SIZE: Final = 20


def is_transient(error: ClaudeAPIError, *, opened: bool = False) -> bool:
    """Return whether the error may be gone soon: a connection, a server or a proxy in trouble.

    Once a connection has been ``opened``, a response that is not of this API is an error page of a proxy.
    """
    if isinstance(error, NotSupportedError):
        return False
    if isinstance(error, UnexpectedResponseError):
        return opened
    return isinstance(error, APIConnectionError | RateLimitError | ServerError) or error.status_code == 408


class ReconnectBudget:
    """Reconnections that one stream may still make. Progress restores the budget.

    The first reconnection after progress is immediate, so that an occasional cut costs no time. Later ones wait with
    full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog).
    """

    def __init__(self, limit: int = MAX_RECONNECTS) -> None:
        self._limit = limit
        self._consecutive = 0
        self.attempts = 0
        """HTTP attempts so far."""
        self._history: deque[str] = deque(maxlen=_HISTORY_SIZE)

    @property
    def history(self) -> tuple[str, ...]:
        """Outcomes of the latest attempts."""
        return tuple(self._history)

    def note(self, attempts: int, history: tuple[str, ...]) -> None:
        """Add HTTP attempts and their outcomes."""
        self.attempts += attempts
        self._history.extend(history)

    def progress(self) -> None:
        """Restore the budget: something new has been received."""
        self._consecutive = 0

    def next_delay(self, random: Callable[[], float], *, retry_after: float | None = None) -> float | None:
        """Use one reconnection; return the seconds to wait before it, or None if there must be none.

        Args:
            random: Returns a float in [0, 1).
            retry_after: Seconds that the server asks to wait (``Retry-After``, or ``retry`` of an event stream).
        """
        self._consecutive += 1
        if self._consecutive > self._limit or (retry_after is not None and retry_after > MAX_RETRY_AFTER):
            return None
        bound = min(BASE_DELAY * 2 ** (self._consecutive - 2), MAX_DELAY) if self._consecutive > 1 else 0.0
        return max(random() * bound, retry_after or 0.0)
