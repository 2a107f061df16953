"""Closing from another thread or coroutine ends waiting calls at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest
from support.clients.client_kinds import KEY
from support.servers import raw_http, responses
from support.servers.scripted_stream import scripted_stream, send_then_stall, thinking_events
from support.stalls import in_time

from claude_code_client import AsyncClaudeClient, ClaudeClient, ClosedError, ConfigurationError


@pytest.fixture
def over() -> Iterator[Event]:
    event = Event()
    yield event
    event.set()


def silent(over: Event) -> raw_http.Handler:
    """Respond to submits and cancels only."""

    def handle(request: raw_http.Request) -> Any:
        if request.method == "POST" and request.path.endswith(("/task", "/cancel")):
            return raw_http.response(202, responses.task("pending" if request.path.endswith("/task") else "cancelled"))
        if request.path.endswith("/events"):
            return send_then_stall(thinking_events(1), until=over)(0)
        if request.path.endswith("/busy"):
            return raw_http.response(503, responses.error("overloaded_error"), Retry_After="30")
        over.wait(raw_http.TIMEOUT)
        return None

    return handle


class Waiting:
    """Call in its own thread."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as error:
            self.error = error

    def join(self) -> None:
        self._thread.join(raw_http.TIMEOUT)
        assert not self._thread.is_alive()


def each(stream: Any) -> None:
    for _ in stream:
        pass


CALLS: dict[str, tuple[Callable[[ClaudeClient], object], str]] = {
    "stream_task": (lambda client: each(client.stream_task("x")), "/events"),
    "stream_events": (lambda client: each(client.stream_events("task_1")), "/events"),
    "execute_task": (lambda client: client.execute_task("x"), "/task/task_1"),
    "execute_task, watched": (lambda client: client.execute_task("x", on_event=print), "/events"),
    "complete": (lambda client: client.complete("x"), "/completions"),
    "get_task": (lambda client: client.get_task("task_1"), "/task/task_1"),
    "a retry": (lambda client: client.get_task("busy"), "/busy"),
    "client.api": (lambda client: client.api.get_httpx_client().get("/health"), "/health"),
}


@pytest.mark.parametrize("kind", CALLS)
def test_closing_the_client_ends_waiting_calls(over: Event, kind: str) -> None:
    call, path = CALLS[kind]
    with raw_http.serve(raw_http.SocketServer(silent(over))) as server:
        client = ClaudeClient(KEY, server.base_url)
        waiting = Waiting(lambda: call(client))
        server.wait_until(lambda: any(request.path.endswith(path) for request in server.requests))
        time.sleep(0.05)  # until the thread is blocked, which nothing tells
        with in_time(0):
            client.close()
            waiting.join()
        error = waiting.error
        assert isinstance(error, ClosedError)
        if "_task" in kind and kind != "get_task":
            assert error.task_id == "task_1"
            server.wait_until(lambda: server.requests[-1].path.endswith("/cancel"))
        assert error.outcome_unknown == (kind == "complete")
        with pytest.raises(ConfigurationError, match="closed: make a new one"):
            client.get_task("task_1")
        over.set()


def test_closing_a_stream_ends_only_its_own_waiting_thread(over: Event) -> None:
    with (
        raw_http.serve(raw_http.SocketServer(silent(over))) as server,
        ClaudeClient(KEY, server.base_url) as client,
    ):
        stream, other = client.stream_task("x"), client.stream_events("task_1")
        assert next(other)["type"] == "thinking"
        seen = threading.Event()

        def read() -> None:
            for _ in stream:
                seen.set()

        waiting = Waiting(read)
        assert seen.wait(raw_http.TIMEOUT)
        time.sleep(0.05)
        with in_time(0):
            stream.close()
            waiting.join()
        error = waiting.error
        assert isinstance(error, ClosedError)
        assert (error.task_id, error.last_event_id) == ("task_1", "1")
        server.wait_until(lambda: server.requests[-1].path.endswith("/cancel"))
        assert next(stream, None) is None
        still = Waiting(lambda: each(other))
        client.close()
        still.join()
        over.set()


def test_concurrent_closes_from_many_threads(over: Event) -> None:
    with raw_http.serve(raw_http.SocketServer(silent(over))) as server:
        client = ClaudeClient(KEY, server.base_url)
        streams = [client.stream_task("x") for _ in range(8)]
        waiting = [Waiting(lambda stream=stream: each(stream)) for stream in streams]  # type: ignore[misc]
        server.wait_until(lambda: sum(request.path.endswith("/events") for request in server.requests) == 8)
        closing = [Waiting(stream.close) for stream in streams for _ in range(4)] + [Waiting(client.close)]
        for call in [*closing, *waiting]:
            call.join()
        assert [call.error for call in closing] == [None] * len(closing)
        assert all(isinstance(call.error, ClosedError) for call in waiting)
        server.wait_until(lambda: sum(request.path.endswith("/cancel") for request in server.requests) == 8)
        over.set()


def test_idle_stream_ends_with_its_client(over: Event) -> None:
    with raw_http.serve(raw_http.SocketServer(silent(over))) as server:
        client = ClaudeClient(KEY, server.base_url)
        stream = client.stream_task("x")
        next(stream)
        client.close()
        with pytest.raises(ClosedError) as caught:
            next(stream)
        assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", "1")
        server.wait_until(lambda: server.requests[-1].path.endswith("/cancel"))
        over.set()


# The same in an event loop


ASYNC_CALLS: dict[str, tuple[Callable[[AsyncClaudeClient], Any], str]] = {
    "stream_task": (lambda client: aeach(client.stream_task("x")), "/events"),
    "execute_task": (lambda client: client.execute_task("x"), "/task/task_1"),
    "complete": (lambda client: client.complete("x"), "/completions"),
    "a retry": (lambda client: client.get_task("busy"), "/busy"),
    "client.api": (lambda client: client.api.get_async_httpx_client().get("/health"), "/health"),
}


async def aeach(stream: Any) -> None:
    async for _ in stream:
        pass


async def when(server: raw_http.SocketServer, path: str) -> None:
    """Wait until a request has arrived and its coroutine is waiting."""
    await asyncio.to_thread(server.wait_until, lambda: any(r.path.endswith(path) for r in server.requests))
    await asyncio.sleep(0.05)


@pytest.mark.parametrize("ending", ["close", "cancel"])
@pytest.mark.parametrize("kind", ASYNC_CALLS)
def test_closing_ends_a_waiting_coroutine(over: Event, kind: str, ending: str) -> None:
    call, path = ASYNC_CALLS[kind]

    async def main() -> None:
        client = AsyncClaudeClient(KEY, server.base_url)
        waiting = asyncio.ensure_future(call(client))
        await when(server, path)
        expected: Any = ClosedError if ending == "close" else asyncio.CancelledError
        with in_time(0):
            if ending == "close":
                await client.close()
            else:
                waiting.cancel()
            with pytest.raises(expected) as caught:
                await waiting
        if "_task" in kind:
            assert ending == "cancel" or caught.value.task_id == "task_1"
            await when(server, "/cancel")
        await client.close()

    with raw_http.serve(raw_http.SocketServer(silent(over))) as server:
        asyncio.run(main())
        over.set()


def test_closing_a_stream_ends_its_waiting_coroutine(over: Event) -> None:
    async def main() -> None:
        async with AsyncClaudeClient(KEY, server.base_url) as client:
            stream = client.stream_task("x")
            waiting = asyncio.ensure_future(aeach(stream))
            await when(server, "/events")
            with in_time(0):
                await stream.aclose()
                with pytest.raises(ClosedError) as caught:
                    await waiting
            assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", "1")
            assert await anext(stream, None) is None
            await when(server, "/cancel")

    with raw_http.serve(raw_http.SocketServer(silent(over))) as server:
        asyncio.run(main())
        over.set()


def test_closing_in_one_event_loop_ends_calls_in_another(over: Event) -> None:
    with raw_http.serve(raw_http.SocketServer(silent(over))) as server:
        client = AsyncClaudeClient(KEY, server.base_url)
        waiting = Waiting(lambda: asyncio.run(aeach(client.stream_task("x"))))
        server.wait_until(lambda: any(request.path.endswith("/events") for request in server.requests))
        time.sleep(0.05)
        with in_time(0):
            asyncio.run(client.close())
            waiting.join()
        assert isinstance(waiting.error, ClosedError)
        over.set()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_streams_end_with_their_context_manager(over: Event, asynchronous: bool) -> None:
    async def main() -> None:
        async with AsyncClaudeClient(KEY, server.base_url) as client, client.stream_task("x") as stream:
            assert (await anext(stream))["type"] == "thinking"

    with scripted_stream(send_then_stall(thinking_events(1), until=over)) as (server, script):
        if asynchronous:
            asyncio.run(main())
        else:
            with ClaudeClient(KEY, server.base_url) as client, client.stream_task("x") as stream:
                assert next(stream)["type"] == "thinking"
        assert script.cancels == 1
        over.set()
