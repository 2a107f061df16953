"""Client lifetime across threads and event loops, and the connections that clients leave open."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.clients.client_kinds import KEY, ClientKind
from support.servers import raw_http
from support.servers.open_streams import reply

from claude_code_client import AsyncClaudeClient, ClaudeClient, ConfigurationError


@pytest.fixture
def server() -> Iterator[raw_http.SocketServer]:
    with raw_http.serve(raw_http.SocketServer(reply)) as running:
        yield running


STREAMS: dict[str, Callable[[Any], Any]] = {
    "stream_task": lambda client: client.stream_task("x"),
    "stream_complete": lambda client: client.stream_complete("x"),
}


def streaming_on(server: raw_http.SocketServer) -> int:
    """Return the connection of the last stream."""
    return next(r.connection for r in reversed(server.requests) if r.path.endswith(("/events", "/stream")))


each_stream = pytest.mark.parametrize("kind", STREAMS)


# Threads and loops


@pytest.mark.slow
def test_client_shared_by_64_threads(server: raw_http.SocketServer) -> None:
    threads, calls = 64, 4
    together = threading.Barrier(threads, timeout=raw_http.TIMEOUT)

    with ClaudeClient(KEY, server.base_url) as client, ThreadPoolExecutor(threads) as pool:

        def work(_: int) -> list[str]:
            together.wait()
            return [client.with_options(timeout=30).complete("x").content for _ in range(calls)]

        replies = [content for contents in pool.map(work, range(threads)) for content in contents]
    assert replies == ["Python is a language."] * threads * calls
    assert len(server.requests) == threads * calls
    assert server.connections <= threads
    server.wait_until(lambda: not server.open)


@pytest.mark.slow
def test_async_client_shared_by_64_tasks(server: raw_http.SocketServer) -> None:
    async def main() -> None:
        async with AsyncClaudeClient(KEY, server.base_url) as client:
            await asyncio.gather(*(client.complete("x") for _ in range(64)))

    asyncio.run(main())
    assert len(server.requests) == 64
    server.wait_until(lambda: not server.open)


def test_async_client_in_consecutive_event_loops(server: raw_http.SocketServer) -> None:
    client = AsyncClaudeClient(KEY, server.base_url)

    async def main() -> None:
        await client.complete("x")
        await client.with_options(timeout=9).complete("x")
        async for _ in client.stream_task("x"):
            break

    for number in (1, 2, 3):
        asyncio.run(main())
        assert len(server.requests) == 5 * number
        server.wait_until(lambda: not server.open)


def test_async_client_in_two_concurrent_event_loops(server: raw_http.SocketServer) -> None:
    client = AsyncClaudeClient(KEY, server.base_url)
    together = threading.Barrier(2, timeout=raw_http.TIMEOUT)

    async def main() -> set[int]:
        await client.complete("x")
        await asyncio.to_thread(together.wait)
        await asyncio.gather(*(client.complete("x") for _ in range(8)))
        await asyncio.to_thread(together.wait)
        await client.complete("x")
        return set()

    with ThreadPoolExecutor(2) as pool:
        for running in [pool.submit(asyncio.run, main()) for _ in range(2)]:
            running.result()
    assert len(server.requests) == 20
    server.wait_until(lambda: not server.open)


# What is left open


@each_stream
def test_abandoned_stream_closes_its_connection(both: ClientKind, server: raw_http.SocketServer, kind: str) -> None:
    start = STREAMS[kind]
    client = both.client(server.base_url)
    for _ in both.each(start(client)):
        break
    streaming = streaming_on(server)
    server.wait_until(lambda: streaming not in server.open)
    both.call(client.complete("x"))
    assert server.requests[-1].connection != streaming


@each_stream
def test_garbage_collected_stream_closes_its_connection(server: raw_http.SocketServer, kind: str) -> None:
    start = STREAMS[kind]
    with ClaudeClient(KEY, server.base_url) as client:
        stream = start(client)
        next(stream)
        streaming = streaming_on(server)
        assert streaming in server.open
        del stream
        gc.collect()
        server.wait_until(lambda: streaming not in server.open)


@each_stream
def test_garbage_collected_async_stream_closes_its_connection(server: raw_http.SocketServer, kind: str) -> None:
    start = STREAMS[kind]

    async def main() -> None:
        async with AsyncClaudeClient(KEY, server.base_url) as client:
            async for _ in start(client):
                break
            gc.collect()
            streaming = streaming_on(server)
            await asyncio.to_thread(server.wait_until, lambda: streaming not in server.open)
            await client.complete("x")

    asyncio.run(main())


@each_stream
def test_unread_stream_sends_nothing(both: ClientKind, server: raw_http.SocketServer, kind: str) -> None:
    start = STREAMS[kind]
    stream = start(both.client(server.base_url))
    both.call(stream.aclose() if both.kind == "async" else stream.close())
    assert server.connections == 0


def test_abandoned_list_returns_its_connection(both: ClientKind, server: raw_http.SocketServer) -> None:
    client = both.client(server.base_url)
    for _ in both.each(client.list_tasks()):
        break
    both.call(client.complete("x"))
    assert [request.connection for request in server.requests] == [0, 0]


def test_exceptions_in_the_loop_body_propagate_unchanged(both: ClientKind, server: raw_http.SocketServer) -> None:
    client, raised = both.client(server.base_url), KeyError("mine")

    def loop() -> None:
        for _ in both.each(client.stream_task("x")):
            raise raised

    with pytest.raises(KeyError) as caught:
        loop()
    assert caught.value is raised
    streaming = streaming_on(server)
    server.wait_until(lambda: streaming not in server.open)


def test_cancelled_call_closes_only_its_own_connection(server: raw_http.SocketServer) -> None:
    async def main() -> None:
        async with AsyncClaudeClient(KEY, server.base_url) as client:
            await client.complete("x")

            async def follow() -> None:
                async for _ in client.stream_task("x"):
                    followed.set()

            followed = asyncio.Event()
            following = asyncio.create_task(follow())
            await asyncio.wait_for(followed.wait(), raw_http.TIMEOUT)
            following.cancel()
            with pytest.raises(asyncio.CancelledError):
                await following
            streaming = streaming_on(server)
            await asyncio.to_thread(server.wait_until, lambda: streaming not in server.open)
            await client.complete("x")

    asyncio.run(main())


@pytest.mark.parametrize("closed_by", ["close", "with", "collection"])
def test_client_leaves_no_connection_open(server: raw_http.SocketServer, closed_by: str) -> None:
    client = ClaudeClient(KEY, server.base_url)
    client.complete("x")
    assert server.open == {0}
    if closed_by == "close":
        client.close()
    elif closed_by == "with":
        with client:
            pass
    del client
    gc.collect()
    server.wait_until(lambda: not server.open)


def test_use_after_close_raises(both: ClientKind, server: raw_http.SocketServer) -> None:
    client = both.client(server.base_url)
    other, stream = client.with_options(timeout=9), client.stream_task("x")
    both.call(client.complete("x"))
    both.call(client.close())
    both.call(client.close())
    server.wait_until(lambda: not server.open)
    for call in (
        lambda: client.complete("x"),
        lambda: other.get_task("task_1"),
        lambda: next(both.each(stream)),
        lambda: next(both.each(client.list_tasks())),
        client.api.get_httpx_client if both.kind == "sync" else lambda: in_loop(client.api.get_async_httpx_client),
    ):
        with pytest.raises(ConfigurationError, match="closed: make a new one"):
            both.call(call())
    assert len(server.requests) == 1


async def in_loop(function: Callable[[], Any]) -> Any:
    return function()


def test_closing_a_with_options_copy_keeps_the_original_open(both: ClientKind, server: raw_http.SocketServer) -> None:
    client = both.client(server.base_url)
    other = client.with_options(timeout=9)
    both.call(other.complete("x"))
    both.call(other.close())
    both.call(client.complete("x"))
    both.call(other.complete("x"))
    assert server.connections == 1
