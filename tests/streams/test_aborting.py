"""Cleanup of abandoned asynchronous calls: on the pool of their loop, else in a thread."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from threading import Event
from typing import Any

import pytest
from support.clients.background_work import wait_for_background_work
from support.clients.client_kinds import KEY
from support.servers import raw_http, responses
from support.servers.scripted_stream import scripted_stream, send_then_stall, thinking_events
from support.stalls import in_time

from claude_code_client import AsyncClaudeClient, ClosedError

CALLS = 8


@pytest.fixture
def over() -> Iterator[Event]:
    event = Event()
    yield event
    event.set()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the client's threads that were started."""
    names: list[str] = []
    start = threading.Thread.start

    def noting(thread: threading.Thread) -> None:
        if thread.name.startswith("claude-code-client"):
            names.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noting)
    return names


async def submitted(server: raw_http.SocketServer, path: str, number: int = 1) -> None:
    """Once so many requests of this path have arrived, and the calls that sent them wait."""
    await asyncio.to_thread(server.wait_until, lambda: requests(server, path) == number)
    await asyncio.sleep(0.05)


def requests(server: raw_http.SocketServer, path: str) -> int:
    return sum(request.path.endswith(path) for request in server.requests)


def busy_server(over: Event, number: int) -> raw_http.SocketServer:
    """A server whose completions wait until there are ``number`` of them, and whose tasks run until cancelled."""
    together = threading.Barrier(number, timeout=raw_http.TIMEOUT)

    def handle(request: raw_http.Request) -> Any:
        match request.method, request.path:
            case "POST", "/v1/chat/completions":
                together.wait()
                return raw_http.response(200, responses.COMPLETION)
            case "POST", "/v1/task":
                return raw_http.response(202, responses.task("pending"))
            case "GET", "/v1/task/task_1/events":
                return send_then_stall(thinking_events(1), until=over)(0)
            case "POST", _:
                return raw_http.response(200, responses.task("cancelled"))
        over.wait(raw_http.TIMEOUT)
        return None

    return raw_http.SocketServer(handle)


@pytest.mark.parametrize("call", ["execute_task", "stream_task"])
def test_abandoned_calls_start_no_thread_and_open_no_connection(over: Event, started: list[str], call: str) -> None:
    async def one(client: AsyncClaudeClient) -> None:
        if call == "execute_task":
            await client.execute_task("x")
        async for _ in client.stream_task("x"):
            pass

    async def main() -> None:
        async with AsyncClaudeClient(KEY, server.base_url) as client:
            # A request that is cut takes its HTTP/1.1 connection with it; each call finds a second one idle.
            await asyncio.gather(*(client.complete("x") for _ in range(2 * CALLS)))
            assert server.connections == 2 * CALLS
            with client.budget(CALLS) as budget:
                waiting = [asyncio.ensure_future(one(client)) for _ in range(CALLS)]
                await submitted(server, "/events" if call == "stream_task" else "/task_1", CALLS)
                for task in waiting:
                    task.cancel()
                outcomes = await asyncio.gather(*waiting, return_exceptions=True)
                assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
                assert (budget.reserved, budget.spent) == (0, 0.5 * CALLS)
        assert requests(server, "/cancel") == CALLS
        assert server.connections == 2 * CALLS

    with raw_http.serve(busy_server(over, 2 * CALLS)) as server:
        try:
            asyncio.run(main())
        finally:
            over.set()
    assert started == []


def test_a_closed_stream_cancels_its_task_on_the_loop(over: Event, started: list[str]) -> None:
    """The call ends at once with ClosedError; the cancellation that it spawns runs on the loop's pool."""

    async def main() -> None:
        async with AsyncClaudeClient(KEY, server.base_url) as client:
            stream = client.stream_task("x")

            async def read() -> None:
                async for _ in stream:
                    pass

            waiting = asyncio.ensure_future(read())
            await submitted(server, "/events")
            await stream.aclose()
            with pytest.raises(ClosedError):
                await waiting
            await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=raw_http.TIMEOUT)
            assert script.cancels == 1

    with scripted_stream(send_then_stall(thinking_events(1), until=over)) as (server, script):
        asyncio.run(main())
        over.set()
    # One thread for all watches over loops that stop; none carries anything out.
    assert set(started) <= {"claude-code-client: watchdog"}


class SlowCancel:
    """Makes a server's first cancellation wait, so that it is cut."""

    def __init__(self, server: raw_http.SocketServer, over: Event) -> None:
        self.arrived, self.number = Event(), 0
        self._answer, self._over = server.handle, over
        server.handle = self

    def __call__(self, request: raw_http.Request) -> Any:
        if request.path.endswith("/cancel"):
            self.number += 1
            if self.number == 1:
                self.arrived.set()
                self._over.wait(raw_http.TIMEOUT)
                return None
        return self._answer(request)


@pytest.mark.parametrize("ending", ["run", "close", "generators", "stopped"])
def test_a_cleanup_whose_loop_goes_away_is_finished_by_a_thread(over: Event, started: list[str], ending: str) -> None:
    async def main() -> None:
        # Closed in time only where the test is about that.
        client = AsyncClaudeClient(KEY, server.base_url)
        call = asyncio.ensure_future(client.execute_task("x", on_event=lambda _: seen.set()))
        await asyncio.to_thread(seen.wait, raw_http.TIMEOUT)
        call.cancel()
        await asyncio.to_thread(slow.arrived.wait, raw_http.TIMEOUT)
        assert started == []
        if ending == "close":
            await client.close()
            with pytest.raises(asyncio.CancelledError):
                await call
        if ending == "stopped":
            # The caller stops waiting, and then the loop stops.
            while not call.done():
                call.cancel()
                await asyncio.sleep(0)

    seen = Event()
    with (
        scripted_stream(send_then_stall(thinking_events(1), until=over)) as (server, script),
        asyncio.Runner() as runner,
    ):
        slow = SlowCancel(server, over)
        if ending == "run":
            asyncio.run(main())
        else:
            runner.run(main())
        if ending == "generators":
            runner.run(runner.get_loop().shutdown_asyncgens())
        wait_for_background_work()
        assert (script.cancels, slow.number) == (1, 2)
        assert "claude-code-client: background" in started
        over.set()


@pytest.mark.slow
def test_a_cleanup_on_a_blocked_loop_is_finished_by_a_thread(over: Event, started: list[str]) -> None:
    async def main() -> None:
        async with AsyncClaudeClient(KEY, server.base_url) as client:
            call = asyncio.ensure_future(client.execute_task("x", on_event=lambda _: seen.set()))
            await asyncio.to_thread(seen.wait, raw_http.TIMEOUT)
            await asyncio.sleep(0.05)
            call.cancel()
            while len(asyncio.all_tasks()) < 3:  # noqa: ASYNC110 (a task that nothing announces)
                await asyncio.sleep(0)
            # The cleanup has begun to connect; its deadline passes while nothing runs here.
            time.sleep(2)  # noqa: ASYNC251 (what the test is about)
            with in_time(0), pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.to_thread(wait_for_background_work)

    seen = Event()
    with scripted_stream(send_then_stall(thinking_events(1), until=over)) as (server, script):
        asyncio.run(main())
        assert script.cancels == 1
        over.set()
    assert started == ["claude-code-client: background"]


DROPPED = """
    import asyncio, sys
    from claude_code_client import AsyncClaudeClient

    client = AsyncClaudeClient("sk-proj-x", sys.argv[1])

    async def main():
        seen = asyncio.Event()
        call = asyncio.ensure_future(client.execute_task("x", on_event=lambda _: seen.set()))
        await seen.wait()
        call.cancel()
        # The cleanup has begun. Nobody runs the loop any more.
        await asyncio.sleep(0.1)
        return call

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    call = loop.run_until_complete(main())
    print("end")
"""


@pytest.mark.slow
def test_a_cleanup_whose_loop_is_dropped_is_finished_when_the_process_ends(over: Event, tmp_path: Path) -> None:
    with scripted_stream(send_then_stall(thinking_events(1), until=over)) as (server, script):
        slow = SlowCancel(server, over)
        path = tmp_path / "script.py"
        path.write_text(dedent(DROPPED))
        ran = subprocess.run(
            [sys.executable, str(path), server.base_url],
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert (ran.stdout, ran.returncode) == ("end\n", 0), ran.stderr
        assert (script.cancels, slow.number) == (1, 2)
        over.set()
