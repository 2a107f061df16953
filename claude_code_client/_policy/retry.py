"""Retry policy: whether to try a call again, and when. Pure: no I/O, no clock, no randomness of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import attrs

from ..errors import (
    ClaudeAPIError,
    ClosedError,
    ConfigurationError,
    CostExceededError,
    NotSupportedError,
    RateLimitError,
    ServerError,
    TimeoutError,
    UnexpectedResponseError,
)

BASE_DELAY: Final = 0.5
"""Seconds; upper bound of the first backoff."""
MAX_DELAY: Final = 8.0
"""Seconds; upper bound of all backoffs."""
MIN_RETRY_AFTER: Final = 0.1
"""Seconds; ``Retry-After: 0`` must not become a burst of requests."""
MAX_RETRY_AFTER: Final = 120.0
"""Seconds; a server that requires a longer wait gets no retry, so that the caller can decide."""

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1


@attrs.frozen(kw_only=True, eq=False)
class AttemptFailure:
    """An attempt that did not succeed."""

    error: ClaudeAPIError
    sent: bool = True
    """True if the server may have received anything."""
    stale: bool = False
    """True if the connection was an old one, closed before the request, which says nothing about the server."""
    should_retry: bool | None = None
    """Header ``x-should-retry`` of the response; None without one."""
    timed_out: bool = False
    """True if a timeout ended the attempt."""

    @property
    def may_have_run(self) -> bool:
        """True if the server may have run the call; it did not if its response clearly refuses the call."""
        status, type_ = self.error.status_code, self.error.error_type
        if not self.sent:
            return False
        if status is None or status < 400:
            return True
        # Ended by a limit: the call has run, at least in part.
        if type_ in ("timeout_error", "cost_exceeded_error") or status == 408:
            return True
        return status >= 500 and type_ not in ("overloaded_error", "not_implemented_error")

    @property
    def summary(self) -> str:
        """One entry of ``ClaudeAPIError.history``."""
        error = self.error
        if error.status_code is None:
            return type(error).__name__
        return f"{error.status_code} {error.error_type}" if error.error_type else str(error.status_code)

    @property
    def is_transient(self) -> bool:
        """True if a retry may succeed and costs nothing that the caller should decide about."""
        error = self.error
        if isinstance(error, ConfigurationError | UnexpectedResponseError):
            return False
        # Money was spent, or would be: whatever the server says, only the caller may repeat the call.
        if isinstance(error, CostExceededError) or error.error_type == "timeout_error":
            return False
        if self.should_retry is not None:
            return self.should_retry
        if error.status_code is None or 200 <= error.status_code < 300:
            return True
        if error.status_code == 501 or isinstance(error, NotSupportedError):
            return False
        return isinstance(error, RateLimitError | ServerError) or (
            isinstance(error, TimeoutError) and error.status_code == 408
        )


@attrs.frozen(kw_only=True, eq=False)
class RetryState:
    """One call and what has happened to it so far. Each method returns a new state."""

    max_retries: int
    repeatable: bool
    """True if the server may receive the call twice without harm."""
    safe: bool
    """True if the call changes nothing on the server."""
    attempts: int = 0
    """Attempts that have started."""
    may_have_run: bool = False
    """True if the server may have run the call, and changed something, in an attempt that failed."""
    history: tuple[str, ...] = ()
    """Outcome of each failed attempt."""

    def started(self) -> RetryState:
        """Return the state after the start of an attempt."""
        # Not attrs.evolve(), which takes a fiftieth of a call's time.
        return RetryState(
            max_retries=self.max_retries,
            repeatable=self.repeatable,
            safe=self.safe,
            attempts=self.attempts + 1,
            may_have_run=self.may_have_run,
            history=self.history,
        )

    def unsent(self) -> RetryState:
        """Return the state after an attempt that sent nothing, on a connection that was closed: it does not count."""
        return attrs.evolve(self, attempts=self.attempts - 1)

    def after(self, failure: AttemptFailure) -> RetryState:
        """Return the state after a failed attempt."""
        return self._ended(failure.summary, failure.may_have_run)

    def closed(self, *, sent: bool) -> RetryState:
        """Return the state after the call was closed; ``sent`` says whether its last attempt may have arrived."""
        return self._ended(ClosedError.__name__, sent)

    def describe(self, error: ClaudeAPIError) -> None:
        """Set on the exception what has happened to the call."""
        error.attempts, error.history, error.outcome_unknown = self.attempts, self.history, self.may_have_run

    def _ended(self, summary: str, may_have_run: bool) -> RetryState:
        return attrs.evolve(
            self,
            history=(*self.history, summary),
            may_have_run=self.may_have_run or (may_have_run and not self.safe),
        )


@attrs.frozen(eq=False)
class Retry:
    """Next step: another attempt after a delay."""

    delay: float
    """Seconds."""


@attrs.frozen(eq=False)
class Raise:
    """Next step: raise the exception."""

    error: ClaudeAPIError


def next_step(
    state: RetryState, failure: AttemptFailure, *, time_left: float, random: Callable[[], float]
) -> Retry | Raise:
    """Return the step after a failed attempt, and set on its exception what has happened to the call.

    Args:
        state: The call, ``failure`` included.
        failure: The last attempt.
        time_left: Seconds until the deadline of the call.
        random: Returns a float in [0, 1). The backoff has full jitter, as in "Exponential Backoff And Jitter" (AWS
            Architecture Blog).
    """
    state.describe(failure.error)
    delay = _delay(state, failure, random)
    return Raise(failure.error) if delay is None or delay >= time_left else Retry(delay)


def _delay(state: RetryState, failure: AttemptFailure, random: Callable[[], float]) -> float | None:
    if state.attempts > state.max_retries or not failure.is_transient:
        return None
    if failure.sent and not state.repeatable:
        return None
    if failure.stale:
        return 0.0
    retry_after = failure.error.retry_after
    if retry_after is None:
        bound: float = min(BASE_DELAY * 2 ** (state.attempts - 1), MAX_DELAY)
        return random() * bound
    return max(retry_after, MIN_RETRY_AFTER) if retry_after <= MAX_RETRY_AFTER else None


def is_repeatable(method: str, idempotency_key: str | None) -> bool:
    """Return whether a call may be sent twice: it changes nothing, or its key makes the server run it once."""
    return is_safe(method) or bool(idempotency_key)


def is_safe(method: str) -> bool:
    """Return whether calls with this method change nothing on the server."""
    return method.upper() in _SAFE_METHODS


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds of a ``Retry-After`` header (RFC 9110, 10.2.3); None if it is neither seconds nor a date."""
    if not value:
        return None
    value = value.strip()
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    from email.utils import parsedate_to_datetime  # 10 ms

    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max((date - (now or datetime.now(UTC))).total_seconds(), 0.0)
