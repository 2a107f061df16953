"""Aborted tasks are cancelled once, without delay; detached ones keep running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any

import pytest
from support.clients.client_kinds import KEY, ClientKind
from support.fault_proxy.proxy import FaultProxy, Port
from support.servers.context_server import ContextServer
from support.stalls import in_time

from claude_code_client import AsyncClaudeClient, ClaudeClient
from claude_code_client._operations.task_deadlines import CANCEL_TIMEOUT

HOLD: dict[str, Any] = {"context": {"hold": True, "events": 1, "cost": 0.25}, "max_cost": 1.0, "timeout": 60.0}
SOON = CANCEL_TIMEOUT
"""Seconds that abandoning a task may take."""


AsyncLeave = Callable[[AsyncClaudeClient, ContextServer], Coroutine[Any, Any, None]]


class LeftError(Exception):
    """Exception of the caller."""


def leave_by_break(client: ClaudeClient) -> None:
    for _ in client.stream_task("Wait", **HOLD):
        break


def leave_by_close(client: ClaudeClient) -> None:
    stream = client.stream_task("Wait", **HOLD)
    next(stream)
    stream.close()


def leave_by_exception(client: ClaudeClient) -> None:
    for _ in client.stream_task("Wait", **HOLD):
        raise LeftError


def leave_events(client: ClaudeClient) -> None:
    for _ in client.submit_task("Wait", **HOLD).events():
        break


def leave_with(client: ClaudeClient) -> None:
    with client.submit_task("Wait", **HOLD):
        pass


def leave_with_by_exception(client: ClaudeClient) -> None:
    with client.submit_task("Wait", **HOLD) as handle:
        for _ in handle.events():
            raise LeftError


def leave_closed_stream_in_with(client: ClaudeClient) -> None:
    with client.submit_task("Wait", **HOLD) as handle:
        leave = handle.events()
        next(leave)
        leave.close()


LEAVING = [
    leave_by_break,
    leave_by_close,
    leave_by_exception,
    leave_events,
    leave_with,
    leave_with_by_exception,
    leave_closed_stream_in_with,
]


@pytest.mark.parametrize("leave", LEAVING, ids=lambda leave: leave.__name__)
def test_abandoned_task_is_cancelled(
    server: ContextServer, proxy: FaultProxy, leave: Callable[[ClaudeClient], None]
) -> None:
    port = proxy.open(server.address)
    with ClaudeClient(KEY, port.base_url, timeout=60) as client, client.budget(usd=1) as budget:
        with in_time(SOON), suppress(LeftError):
            leave(client)
        _check_left(server, port)
        assert (budget.spent, budget.reserved) == (0.25, 0)


async def aleave_by_break(client: AsyncClaudeClient, server: ContextServer) -> None:
    async for _ in client.stream_task("Wait", **HOLD):
        break


async def aleave_by_close(client: AsyncClaudeClient, server: ContextServer) -> None:
    async with aclosing(client.stream_task("Wait", **HOLD)) as stream:
        await anext(stream)


async def aleave_by_exception(client: AsyncClaudeClient, server: ContextServer) -> None:
    async for _ in client.stream_task("Wait", **HOLD):
        raise LeftError


async def aleave_with(client: AsyncClaudeClient, server: ContextServer) -> None:
    async with await client.submit_task("Wait", **HOLD):
        pass


async def aleave_with_by_exception(client: AsyncClaudeClient, server: ContextServer) -> None:
    async with await client.submit_task("Wait", **HOLD) as handle:
        async for _ in handle.events():
            raise LeftError


async def _runs(server: ContextServer) -> None:
    """Wait until the task runs, and a little longer, until its caller waits for its end."""
    await asyncio.to_thread(server.engine.wait_until, lambda: server.engine.running == 1)
    await asyncio.sleep(0.2)


async def _end(limit: asyncio.Timeout, server: ContextServer) -> None:
    await _runs(server)
    limit.reschedule(asyncio.get_running_loop().time())


async def aleave_by_timeout(client: AsyncClaudeClient, server: ContextServer) -> None:
    try:
        async with asyncio.timeout(None) as limit:
            ending = asyncio.create_task(_end(limit, server))
            await client.execute_task("Wait", **HOLD)
    except TimeoutError:
        assert ending.done()
        return
    raise AssertionError("it did not time out")


async def aleave_waiting_by_timeout(client: AsyncClaudeClient, server: ContextServer) -> None:
    try:
        async with asyncio.timeout(None) as limit:
            ending = asyncio.create_task(_end(limit, server))
            await (await client.submit_task("Wait", **HOLD)).wait()
    except TimeoutError:
        assert ending.done()
        return
    raise AssertionError("it did not time out")


async def aleave_by_group(client: AsyncClaudeClient, server: ContextServer) -> None:
    async def fail() -> None:
        await _runs(server)
        raise LeftError

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(client.execute_task("Wait", **HOLD))
            group.create_task(fail())
    except* LeftError:
        pass


async def _tidied_up() -> None:
    """Wait for the event loop's task that closes a garbage-collected stream."""
    await asyncio.sleep(0)
    if others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others, timeout=15)


ALEAVING = [
    aleave_by_break,
    aleave_by_close,
    aleave_by_exception,
    aleave_with,
    aleave_with_by_exception,
    aleave_by_timeout,
    aleave_waiting_by_timeout,
    aleave_by_group,
]


@pytest.mark.parametrize("leave", ALEAVING, ids=lambda leave: leave.__name__)
def test_abandoned_async_task_is_cancelled(
    server: ContextServer,
    proxy: FaultProxy,
    leave: AsyncLeave,
) -> None:
    port = proxy.open(server.address)

    async def run() -> None:
        async with AsyncClaudeClient(KEY, port.base_url, timeout=60) as client:
            with client.budget(usd=1) as budget:
                with suppress(LeftError):
                    await leave(client, server)
                await _tidied_up()
                assert (budget.spent, budget.reserved) == (0.25, 0)

    with in_time(SOON + 0.2):
        asyncio.run(run())
    _check_left(server, port)


@pytest.mark.parametrize("call", ["execute_task", "stream_task", "wait", "events"])
def test_cancelled_asyncio_tasks_cancel_their_tasks(server: ContextServer, proxy: FaultProxy, call: str) -> None:
    port = proxy.open(server.address)

    async def run() -> None:
        async with AsyncClaudeClient(KEY, port.base_url, timeout=60) as client:
            work = asyncio.create_task(_call(client, call))
            await asyncio.to_thread(server.engine.wait_until, lambda: server.engine.running == 1)
            if call != "execute_task":
                await asyncio.to_thread(
                    port.wait_until, lambda: any(exchange.method == "GET" for exchange in port.seen)
                )
            work.cancel()
            with in_time(SOON), pytest.raises(asyncio.CancelledError) as caught:
                await work
            assert "$0.25" in "".join(getattr(caught.value, "__notes__", ()))

    asyncio.run(run())
    _check_left(server, port)


async def _call(client: AsyncClaudeClient, call: str) -> None:
    match call:
        case "execute_task":
            await client.execute_task("Wait", **HOLD)
        case "stream_task":
            await _exhaust(client.stream_task("Wait", **HOLD))
        case "wait":
            await (await client.submit_task("Wait", **HOLD)).wait()
        case "events":
            await _exhaust((await client.submit_task("Wait", **HOLD)).events())


async def _exhaust(stream: AsyncGenerator[Any, None]) -> None:
    async for _ in stream:
        pass


def _check_left(server: ContextServer, port: Port) -> None:
    server.wait_until_idle()
    assert server.tasks_by_status() == {"cancelled": 1}
    assert port.cancels == 1


def test_detached_task_keeps_running(both: ClientKind, server: ContextServer, proxy: FaultProxy) -> None:
    """It keeps running when its streams are abandoned, and can still be cancelled."""
    port = proxy.open(server.address)
    client = both.client(port.base_url)
    handle = both.call(client.submit_task("Wait", **HOLD))
    handle.detach()
    events = both.each(handle.events())
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert port.cancels == 0
    assert both.call(client.get_task(handle.id)).status == "running"
    assert both.call(handle.cancel()).status == "cancelled"
    assert (handle.status, handle.usage.cost, port.cancels) == ("cancelled", 0.25, 1)


def test_finished_task_is_not_cancelled(both: ClientKind, server: ContextServer, proxy: FaultProxy) -> None:
    port = proxy.open(server.address)
    client = both.client(port.base_url)
    both.call(client.execute_task("Count"))
    list(both.each(client.stream_task("Count", context={"events": 2})))
    assert both.call(both.call(client.submit_task("Count")).wait()).status == "completed"
    assert port.cancels == 0
    assert server.tasks_by_status() == {"completed": 3}
