"""Reconnect policy of streams and downloads: whether, and when, to open another connection. Pure."""

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
"""Consecutive reconnects without progress; each is a call of its own, with that call's retries."""
_HISTORY: Final = 20


def is_transient(error: ClaudeAPIError, *, opened: bool = False) -> bool:
    """Return whether a failure may soon pass, such as a lost connection or an overloaded server.

    Args:
        opened: Whether the stream was open before. A response that is not from the API then came from a proxy in
            between, which is such a failure too.
    """
    if isinstance(error, NotSupportedError):
        return False
    if isinstance(error, UnexpectedResponseError):
        return opened
    return isinstance(error, APIConnectionError | RateLimitError | ServerError) or error.status_code == 408


class ReconnectBudget:
    """Reconnect budget of one stream, reset by every new event or byte.

    The first reconnect after progress happens at once, so that an occasional lost connection costs no time. Further
    ones wait with exponential backoff and full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog).
    """

    def __init__(self, limit: int = MAX_RECONNECTS) -> None:
        self._limit = limit
        self._consecutive = 0
        self.attempts = 0
        """HTTP attempts so far."""
        self._history: deque[str] = deque(maxlen=_HISTORY)

    @property
    def history(self) -> tuple[str, ...]:
        """Outcomes of the last attempts."""
        return tuple(self._history)

    def note(self, attempts: int, history: tuple[str, ...]) -> None:
        """Add attempts that were made, and their outcomes."""
        self.attempts += attempts
        self._history.extend(history)

    def progress(self) -> None:
        """Reset the budget after a new event or byte."""
        self._consecutive = 0

    def next_delay(self, random: Callable[[], float], *, retry_after: float | None = None) -> float | None:
        """Use up one reconnect and return the seconds to wait before it; None to give up.

        Args:
            random: Returns a float in [0, 1).
            retry_after: Seconds that the server requested (``Retry-After``, or ``retry`` of an event stream).
        """
        self._consecutive += 1
        if self._consecutive > self._limit or (retry_after is not None and retry_after > MAX_RETRY_AFTER):
            return None
        bound = min(BASE_DELAY * 2 ** (self._consecutive - 2), MAX_DELAY) if self._consecutive > 1 else 0.0
        return max(random() * bound, retry_after or 0.0)
