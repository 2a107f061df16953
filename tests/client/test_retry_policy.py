"""Retry policy."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from claude_code_client._policy.retry import (
    AttemptFailure,
    Retry,
    RetryState,
    is_repeatable,
    is_safe,
    next_step,
    parse_retry_after,
)
from claude_code_client._wire.error_bodies import from_response
from claude_code_client.errors import (
    APIConnectionError,
    ClaudeAPIError,
    ConfigurationError,
    UnexpectedResponseError,
)


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
    """The policy's decision, with jitter at its middle."""
    failure = AttemptFailure(error=error, sent=sent, should_retry=should_retry)
    state = RetryState(max_retries=max_retries, repeatable=repeatable, safe=False, attempts=number).after(failure)
    step = next_step(state, failure, time_left=time_left, random=lambda: 0.5)
    return step.delay if isinstance(step, Retry) else None


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
    assert decide(answer(429, retry_after=0)) == 0.1
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


@pytest.mark.parametrize("error", [ConfigurationError("Wrong."), UnexpectedResponseError("HTML.", status_code=200)])
def test_errors_that_no_retry_can_change_are_final(error: ClaudeAPIError) -> None:
    assert decide(error) is None
    assert decide(error, should_retry=True) is None


def test_the_exception_carries_what_has_happened_to_the_call() -> None:
    state = RetryState(max_retries=3, repeatable=True, safe=False)
    for error in (answer(503, "overloaded_error"), APIConnectionError("Cut."), answer(429, "rate_limit_error")):
        failure = AttemptFailure(error=error)
        state = state.started().after(failure)
        next_step(state, failure, time_left=0.0, random=lambda: 0.5)
    assert (error.attempts, error.outcome_unknown) == (3, True)
    assert error.history == ("503 overloaded_error", "APIConnectionError", "429 rate_limit_error")


@pytest.mark.parametrize(
    ("status", "type", "unknown"),
    [
        (400, "", False),
        (429, "rate_limit_error", False),
        (402, "cost_exceeded_error", True),
        (408, "timeout_error", True),
        (500, "server_error", True),
        (503, "overloaded_error", False),
        (501, "not_implemented_error", False),
        (302, "", True),
    ],
)
def test_calls_that_the_server_may_have_run(status: int, type: str, unknown: bool) -> None:
    failure = AttemptFailure(error=answer(status, type))
    for safe in (False, True):
        state = RetryState(max_retries=0, repeatable=True, safe=safe).started().after(failure)
        assert state.may_have_run == (unknown and not safe)


@pytest.mark.parametrize("sent", [False, True])
def test_a_closed_call_may_have_run_if_it_was_sent(sent: bool) -> None:
    state = RetryState(max_retries=0, repeatable=True, safe=False).started().closed(sent=sent)
    assert (state.may_have_run, state.history) == (sent, ("ClosedError",))


def test_safe_methods() -> None:
    assert is_safe("get")
    assert not is_safe("DELETE")


def test_repeatable_calls() -> None:
    assert is_repeatable("GET", None)
    assert not is_repeatable("POST", None)
    assert is_repeatable("POST", "1")


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
