"""Retry policy."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from claude_code_client._policy.retry import Attempt, Failure, is_repeatable, parse_retry_after, wait_before_retry
from claude_code_client._wire.error_bodies import from_response
from claude_code_client.errors import APIConnectionError, ClaudeAPIError


def decide(
    error: ClaudeAPIError,
    *,
    sent: bool = True,
    should_retry: bool | None = None,
    number: int = 1,
    max_retries: int = 3,
    repeatable: bool = True,
    time_left: float = 1000.0,
) -> float | None:
    """Return the policy's decision, with jitter at its midpoint."""
    failure = Failure(error=error, sent=sent, should_retry=should_retry)
    attempt = Attempt(number=number, max_retries=max_retries, repeatable=repeatable, time_left=time_left)
    return wait_before_retry(failure, attempt, lambda: 0.5)


def answer(status: int, type: str = "", retry_after: float | None = None) -> ClaudeAPIError:
    body = b'{"error": {"type": "%s", "message": "No."}}' % type.encode() if type else b""
    return from_response(status, body, retry_after=retry_after)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_transient_errors_are_retried(status: int) -> None:
    assert decide(answer(status)) == 0.25


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 413, 422, 501, 302])
def test_other_responses_are_final(status: int) -> None:
    assert decide(answer(status)) is None


@pytest.mark.parametrize(
    ("status", "type"),
    [(429, "cost_exceeded_error"), (500, "cost_exceeded_error"), (408, "timeout_error"), (503, "timeout_error")],
)
def test_budget_and_timeout_errors_are_never_retried(status: int, type: str) -> None:
    assert decide(answer(status, type)) is None
    assert decide(answer(status, type), should_retry=True) is None


def test_server_should_retry_header_takes_precedence() -> None:
    assert decide(answer(400), should_retry=True) == 0.25
    assert decide(answer(503), should_retry=False) is None


def test_backoff_grows_to_its_limit() -> None:
    waits = [decide(answer(500), number=number, max_retries=9) for number in range(1, 8)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


def test_retry_after_is_honoured_up_to_its_limit() -> None:
    assert decide(answer(429, retry_after=30)) == 30
    assert decide(answer(429, retry_after=120)) == 120
    assert decide(answer(429, retry_after=121)) is None


def test_backoff_never_exceeds_the_deadline() -> None:
    assert decide(answer(429, retry_after=30), time_left=29.0) is None
    assert decide(answer(500), time_left=0.1) is None


def test_attempts_are_limited() -> None:
    assert decide(answer(500), number=3) is not None
    assert decide(answer(500), number=4) is None
    assert decide(answer(500), max_retries=0) is None


def test_possibly_received_requests_are_repeated_only_if_idempotent() -> None:
    assert decide(APIConnectionError("Cut.")) == 0.25
    assert decide(APIConnectionError("Cut."), repeatable=False) is None
    assert decide(APIConnectionError("Refused."), repeatable=False, sent=False) == 0.25


def test_idempotent_calls() -> None:
    assert is_repeatable("GET", {})
    assert not is_repeatable("POST", {})
    assert is_repeatable("POST", {"Idempotency-Key": "1"})


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        (" 1.5 ", 1.5),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_parsing(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, datetime(2026, 11, 22, 12, 0, tzinfo=UTC)) == seconds
