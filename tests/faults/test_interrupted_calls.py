"""Calls interrupted or closed at any point: the client stays usable, and nothing stays open."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from support.interruption import Interruption, steps_of
from support.servers import raw_http, responses

from claude_code_client import AsyncClaudeClient, ClaudeClient, ClosedError

KEY = "sk-proj-test-key"
CONNECTION = ("connecting", "deadline_network", "origin_transport", "_synchronization", "/connection", "http11")
"""Parts of the names of modules that own sockets, or take httpcore's locks."""

CALLS: dict[str, Callable[[ClaudeClient], Any]] = {
    "call": lambda client: client.get_task("task_1"),
    "stream": lambda client: list(client.stream_complete("x")),
}


def respond(request: raw_http.Request) -> Any:
    if request.path.endswith("/stream"):
        end = responses.event(2, "completion", completion=responses.COMPLETION)
        return raw_http.event_stream(responses.event(1, "text_delta", text="a"), end)
    return raw_http.response(200, responses.task())


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Exceptions without a caller; an interruption of a finalizer is one, and not our business."""
    found: list[Any] = []

    def hook(args: Any) -> None:
        if not isinstance(args.exc_value, KeyboardInterrupt):
            found.append(args)

    monkeypatch.setattr(sys, "unraisablehook", hook)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("at_most", [40, pytest.param(10_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.timeout(600)
def test_interrupted_anywhere(unraisable: list[Any], name: str, at_most: int) -> None:
    with raw_http.serve(raw_http.SocketServer(respond)) as server:

        def call() -> None:
            with ClaudeClient(KEY, server.base_url, timeout=9) as client:
                CALLS[name](client)
                CALLS[name](client)  # on the same connection

        gc.freeze()  # so that it looks for garbage among the objects of these calls only
        for step in steps_of(call, at_most, CONNECTION):
            with ClaudeClient(KEY, server.base_url, timeout=9) as client:
                with suppress(KeyboardInterrupt), Interruption(step, interrupt, CONNECTION).active():
                    CALLS[name](client)
                    CALLS[name](client)
                    client.close()
                if not client._connection._pool.closed:
                    assert client.get_task("task_1").id == "task_1"
            gc.collect()
            server.wait_until(lambda: not server.open)
    assert unraisable == []


def test_submitted_task_whose_handle_nobody_receives_is_cancelled() -> None:
    def handle(request: raw_http.Request) -> Any:
        is_cancel = request.path.endswith("/cancel")
        return raw_http.response(200 if is_cancel else 202, responses.task("cancelled" if is_cancel else "running"))

    with (
        raw_http.serve(raw_http.SocketServer(handle)) as server,
        ClaudeClient(KEY, server.base_url, timeout=9) as client,
        client.budget(5) as budget,
    ):
        with pytest.raises(KeyboardInterrupt), Interruption(1, interrupt, ["_sync/task_handle"]).active():
            client.submit_task("x")
        assert [request.path for request in server.requests] == ["/v1/task", "/v1/task/task_1/cancel"]
        assert (budget.reserved, budget.spent) == (0, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["call", "stream"])
def test_closed_at_any_step_of_the_loop(name: str) -> None:
    async def run(steps: int) -> None:
        client = AsyncClaudeClient(KEY, server.base_url, timeout=9)
        await client.get_task("task_1")
        call = asyncio.ensure_future(client.get_task("task_1") if name == "call" else _read(client))
        for _ in range(steps):
            await asyncio.sleep(0)
        await client.close()
        with suppress(ClosedError):
            await call

    with raw_http.serve(raw_http.SocketServer(respond)) as server:
        for steps in range(1, 40):
            asyncio.run(run(steps))
        server.wait_until(lambda: not server.open)


@pytest.mark.slow
def test_closed_before_any_line() -> None:
    """By a signal handler, or by a thread."""
    with raw_http.serve(raw_http.SocketServer(respond)) as server:

        def call() -> None:
            client.get_task("task_1")

        with ClaudeClient(KEY, server.base_url, timeout=9) as client:
            call()
            steps = steps_of(call, 150, CONNECTION)
        for step in steps:
            with ClaudeClient(KEY, server.base_url, timeout=9) as client:
                call()
                with suppress(ClosedError), Interruption(step, client.close, CONNECTION).active():
                    call()
        server.wait_until(lambda: not server.open)


async def _read(client: AsyncClaudeClient) -> None:
    async for _ in client.stream_complete("x"):
        pass
