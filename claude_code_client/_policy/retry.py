"""Retry policy of calls: whether, and when, to make another attempt. Pure: clock and randomness are passed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import attrs

from ..errors import ClaudeAPIError, CostExceededError, RateLimitError, ServerError, TimeoutError

BASE_DELAY: Final = 0.5
"""Longest first wait, in seconds."""
MAX_DELAY: Final = 8.0
"""Longest wait, in seconds."""
MAX_RETRY_AFTER: Final = 120.0
"""Longest ``Retry-After`` to obey, in seconds; a longer one is left to the caller."""

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1


@attrs.frozen(kw_only=True)
class Failure:
    """Failed attempt of a call."""

    error: ClaudeAPIError
    sent: bool = True
    """True if the server may have received anything."""
    should_retry: bool | None = None
    """``x-should-retry`` header of the response, if any."""
    timed_out: bool = False
    """True if the attempt ended with a timeout."""


@attrs.frozen(kw_only=True)
class Attempt:
    """State of a call after an attempt."""

    number: int
    """From 1."""
    max_retries: int
    repeatable: bool
    """True if it is safe for the server to receive the call twice."""
    time_left: float
    """Seconds until the call's deadline."""


def is_repeatable(method: str, headers: Mapping[str, str]) -> bool:
    """Return whether a call may be repeated: it changes nothing, or its key makes the server run it once."""
    return is_safe(method) or bool(headers.get("Idempotency-Key"))


def is_safe(method: str) -> bool:
    """Return whether a call with this method changes nothing."""
    return method.upper() in _SAFE_METHODS


def may_have_run(failure: Failure) -> bool:
    """Return whether the server may have run the request, because it did not clearly refuse it."""
    status, type_ = failure.error.status_code, failure.error.error_type
    if not failure.sent:
        return False
    if status is None or status < 400:
        return True
    # A limit ended the task, which has run or may have.
    if type_ in ("timeout_error", "cost_exceeded_error"):
        return True
    return status >= 500 and type_ not in ("overloaded_error", "not_implemented_error")


def summarize(failure: Failure) -> str:
    """Return the outcome of an attempt for ``error.history``."""
    error = failure.error
    if error.status_code is None:
        return type(error).__name__
    return f"{error.status_code} {error.error_type}" if error.error_type else str(error.status_code)


def wait_before_retry(failure: Failure, attempt: Attempt, random: Callable[[], float]) -> float | None:
    """Seconds to wait before the next attempt; None if there must be none.

    ``random`` gives a float in [0, 1): full jitter, as "Exponential Backoff And Jitter" (AWS Architecture Blog) has it.
    """
    if attempt.number > attempt.max_retries or not (attempt.repeatable or not failure.sent):
        return None
    if not _worth_retrying(failure):
        return None
    asked = failure.error.retry_after
    if asked is not None:
        if asked > MAX_RETRY_AFTER:
            return None
        wait = max(asked, 0.0)
    else:
        wait = random() * min(BASE_DELAY * 2 ** (attempt.number - 1), MAX_DELAY)
    return wait if wait < attempt.time_left else None


def _worth_retrying(failure: Failure) -> bool:
    error = failure.error
    # Money was spent, or would be: whatever else the server says, a repeat is the caller's decision.
    if isinstance(error, CostExceededError) or error.error_type == "timeout_error":
        return False
    if failure.should_retry is not None:
        return failure.should_retry
    if error.status_code is None or 200 <= error.status_code < 300:
        return True
    if error.status_code == 501:
        return False
    return isinstance(error, RateLimitError | ServerError) or (
        isinstance(error, TimeoutError) and error.status_code == 408
    )


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds of a ``Retry-After`` header with seconds or a date (RFC 9110, 10.2.3); None if invalid."""
    if not value:
        return None
    value = value.strip()
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max((date - (now or datetime.now(UTC))).total_seconds(), 0.0)
