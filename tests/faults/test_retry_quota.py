"""Retry quota: the calls of one client share a limited number of retries."""

from __future__ import annotations

from typing import Any

import pytest
from support.clients.concurrent_calls import call_concurrently, make_client
from support.fault_proxy.faults import error_response, response
from support.fault_proxy.proxy import FaultProxy

from claude_code_client.errors import ClaudeAPIError, OverloadedError

FEW = 150
MANY = 1000
STORM = 60
"""Calls that use up the quota, with three retries each."""
RETRIES = 100
"""500 tokens, 5 per retry."""


def _execute(client: Any) -> Any:
    return client.execute_task("Count")


def _complete(client: Any) -> Any:
    return client.complete("Hello")


def _with_options(client: Any) -> Any:
    return client.with_options(timeout=20).get_task("task_1")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("calls", [FEW, pytest.param(MANY, marks=pytest.mark.long)])
def test_retries_end_when_the_quota_is_used_up(proxy: FaultProxy, kind: str, calls: int) -> None:
    port = proxy.open(plan=lambda exchange: error_response(503, "0") if exchange.path else None)
    kinds = [_execute, _complete, _with_options]
    ended = call_concurrently(
        make_client(kind, port.base_url), [kinds[number % 3] for number in range(calls)], max_concurrency=32
    )
    errors = [end.error for end in ended]
    assert all(isinstance(error, OverloadedError) for error in errors)
    attempts = sum(error.attempts for error in errors if isinstance(error, ClaudeAPIError))
    assert attempts == sum(exchange.path != "" for exchange in port.seen) == calls + RETRIES
    print(f"{kind}: {calls} calls, {attempts - calls} retries")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_success_refills_the_quota(proxy: FaultProxy, kind: str) -> None:
    port = proxy.open(plan=lambda exchange: error_response(503, "0") if exchange.path else None)
    client = make_client(kind, port.base_url)
    storm = [_with_options] * STORM

    def well() -> None:
        port.plan = lambda exchange: response(200, b'{"data": []}') if exchange.path else None

    def ill() -> None:
        port.plan = lambda exchange: error_response(503, "0") if exchange.path else None

    steps: list[Any] = [*storm, lambda _: well(), *[lambda c: c.list_models()] * 12, lambda _: ill(), *storm]
    ended = call_concurrently(client, steps, max_concurrency=1)
    first = [end.error.attempts for end in ended[:STORM] if isinstance(end.error, ClaudeAPIError)]
    last = [end.error.attempts for end in ended[-STORM:] if isinstance(end.error, ClaudeAPIError)]
    assert sum(first) - STORM == RETRIES
    assert sum(last) - STORM == 2, "12 successes are worth two retries"
