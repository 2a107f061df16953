"""Waiting for a task on a server that does not hold requests until the task ends."""

from __future__ import annotations

import time
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.servers import raw_http, responses
from support.stalls import in_time

from claude_code_client._policy.polling import BASE_DELAY, MAX_DELAY, PollPace

SECONDS = 0.8
"""Duration of the task."""


@pytest.mark.slow
@pytest.mark.parametrize("call", ["execute_task", "wait"])
def test_server_that_ignores_prefer_wait_is_not_polled_without_pause(both: ClientKind, call: str) -> None:
    submitted_at = time.monotonic()

    def handle(request: raw_http.Request) -> Any:
        done = time.monotonic() - submitted_at > SECONDS
        if request.method == "POST":
            return raw_http.response(202, responses.task("pending"))
        assert request.headers["prefer"].startswith("wait=")
        return raw_http.response(200, responses.task("completed" if done else "running"))

    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        client = both.client(server.base_url)
        if call == "wait":
            task = both.call(both.call(client.submit_task("x")).wait())
        else:
            task = both.call(client.execute_task("x"))
    assert task.status == "completed"
    assert sum(request.method == "GET" for request in server.requests) <= 6


@pytest.mark.slow
def test_timeout_ends_the_pause(both: ClientKind) -> None:
    def handle(request: raw_http.Request) -> Any:
        status = "cancelled" if request.path.endswith("/cancel") else "running"
        return raw_http.response(200 if request.method == "GET" else 202, responses.task(status))

    with raw_http.serve(raw_http.SocketServer(handle)) as server, in_time(1.1), pytest.raises(TimeoutError):
        both.call(both.client(server.base_url).execute_task("x", timeout=1))


def test_pauses_grow_until_the_server_holds_a_response() -> None:
    pace = PollPace()
    assert [pace.next_delay(0.01, 25) for _ in range(7)] == [BASE_DELAY * factor for factor in (1, 2, 4, 8, 16)] + [
        MAX_DELAY
    ] * 2
    assert pace.next_delay(5, 25) == 0
    assert pace.next_delay(0.5, 25) == BASE_DELAY
    assert pace.next_delay(0, 0) == 0
