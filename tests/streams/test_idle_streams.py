"""Streams that nobody reads any more but somebody still holds: they end with their client, loop or process."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from threading import Event
from typing import Any

import pytest
from support.clients.background_work import wait_for_background_work
from support.clients.client_kinds import KEY, ClientKind
from support.servers import raw_http
from support.servers.scripted_stream import StreamScript, scripted_stream, send_then_stall, thinking_events

from claude_code_client import AsyncClaudeClient, ClosedError, ConfigurationError


@pytest.fixture
def served() -> Iterator[tuple[raw_http.SocketServer, StreamScript]]:
    """Run a server whose task sends three events at once, then nothing."""
    over = Event()
    with scripted_stream(send_then_stall(thinking_events(1, 2, 3), until=over)) as (server, script):
        yield server, script
        over.set()


def first(both: ClientKind, stream: Any) -> Any:
    """Return the first item, and leave the stream as ``break`` does: suspended."""

    async def step() -> Any:
        return await anext(stream)

    return both.call(step()) if both.kind == "async" else next(stream)


@pytest.mark.parametrize("copied", [False, True])
def test_stream_left_by_break_ends_with_its_client(
    both: ClientKind, served: tuple[raw_http.SocketServer, StreamScript], copied: bool
) -> None:
    server, script = served
    client = both.client(server.base_url)
    used = client.with_options(timeout=60) if copied else client
    with client.budget(5) as budget:
        stream = used.stream_task("x")
        first(both, stream)
        both.call(client.close())
        wait_for_background_work()
        assert script.cancels == 1
        assert (budget.reserved, budget.spent) == (0, 0.5)
        # What had arrived is still there, and then the reason why there is no more.
        seen = []
        with pytest.raises(ClosedError) as caught:  # noqa: PT012 (the items before the error count)
            for event in both.each(stream):
                seen.append(event["type"])  # noqa: PERF401 (the stream raises)
        assert (seen, caught.value.task_id, caught.value.last_event_id) == (["thinking"] * 2, "task_1", "3")
        assert list(both.each(stream)) == []
    assert script.cancels == 1


def test_collected_stream_in_a_cycle_cancels_its_task(
    both: ClientKind, served: tuple[raw_http.SocketServer, StreamScript]
) -> None:
    """In whatever order the garbage collector closes the generators of a stream."""
    server, script = served
    client = both.client(server.base_url)

    def leave_cycle() -> None:
        stream = client.stream_task("x")
        first(both, stream)
        cycle: list[Any] = [stream]
        cycle.append(cycle)

    leave_cycle()
    gc.collect()
    wait = partial(server.wait_until, lambda: script.cancels == 1)
    both.call(asyncio.to_thread(wait)) if both.kind == "async" else wait()
    both.call(client.close())
    wait_for_background_work()


def test_stream_that_was_never_read_sends_nothing(
    both: ClientKind, served: tuple[raw_http.SocketServer, StreamScript]
) -> None:
    server, _ = served
    client = both.client(server.base_url)
    stream = client.stream_task("x")
    both.call(client.close())
    with pytest.raises(ConfigurationError, match="closed"):
        first(both, stream)
    assert server.requests == []


SYNC = """
import sys
from claude_code_client import ClaudeClient

client = ClaudeClient("sk-proj-x", sys.argv[1])
stream = client.stream_task("x")
for event in stream:
    break
kept = [stream, client]
"""

ASYNC = """
import asyncio, sys
from claude_code_client import AsyncClaudeClient

async def main():
    async for event in stream:
        break

client = AsyncClaudeClient("sk-proj-x", sys.argv[1])
stream = client.stream_task("x")
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
kept = [stream, client, loop]
"""


@pytest.mark.slow
@pytest.mark.parametrize("script", [SYNC, ASYNC], ids=["sync", "async"])
def test_stream_left_by_break_ends_with_the_process(
    served: tuple[raw_http.SocketServer, StreamScript], script: str
) -> None:
    """The interpreter meets no open stream in its last moments: Python 3.13 may crash in the code that closes it."""
    server, stream = served
    ran = subprocess.run(
        [sys.executable, "-c", script, server.base_url],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "")
    assert "Traceback" not in ran.stderr
    assert stream.cancels == 1


def test_stream_read_in_another_loop_raises(served: tuple[raw_http.SocketServer, StreamScript]) -> None:
    server, script = served
    client = AsyncClaudeClient(KEY, server.base_url)
    stream = client.stream_task("x")

    async def begin() -> None:
        await anext(stream)

    async def go_on() -> None:
        with pytest.raises(ConfigurationError, match="another event loop"):
            await anext(stream)
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        await client.close()

    asyncio.run(begin())
    assert script.cancels == 1
    asyncio.run(go_on())


def test_stream_of_a_stopped_loop_ends_with_its_client(served: tuple[raw_http.SocketServer, StreamScript]) -> None:
    server, script = served
    client = AsyncClaudeClient(KEY, server.base_url)
    stream = client.stream_task("x")

    async def begin() -> None:
        await anext(stream)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    asyncio.run(client.close())
    wait_for_background_work()
    assert script.cancels == 1
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
