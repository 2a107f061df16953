"""Deadlines: ``timeout`` covers the whole call, plus at most a tenth to request the task's status.

The calls of one test run concurrently, each with its own client and port.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from support.clients.background_work import wait_for_background_work
from support.clients.client_kinds import ClientKind
from support.clients.concurrent_calls import CallResult, make_client
from support.fault_proxy.exchange import Exchange, Once, Plan
from support.fault_proxy.faults import Drip, Fault, Stall, StallRequest, error_response, response
from support.fault_proxy.proxy import FaultProxy, Port
from support.servers import responses
from support.servers.context_server import ContextServer
from support.stalls import Stalls, in_time

from claude_code_client import AgenticTaskResponse
from claude_code_client.errors import APIConnectionError, ClaudeAPIError, RateLimitError, TimeoutError

TIMEOUT = 1.0
BOUND = 1.1
STAGGER = 0.025
"""Seconds between the starts of calls, so that they do not all end at the same time."""
HOLD = {"hold": True}


def execute(client: Any, timeout: float = TIMEOUT) -> Any:
    return client.execute_task("Wait", timeout=timeout, context=HOLD)


def stream(client: Any, timeout: float = TIMEOUT) -> Any:
    return client.stream_task("Wait", timeout=timeout, context=HOLD)


def complete(client: Any) -> Any:
    return client.complete("Hello", timeout=TIMEOUT)


def stream_complete(client: Any) -> Any:
    return client.stream_complete("Hello", timeout=TIMEOUT)


def read(client: Any) -> Any:
    return client.with_options(timeout=TIMEOUT).list_models()


CALLS = [execute, stream, complete, stream_complete, read]


@dataclass(frozen=True)
class Case:
    name: str
    call: Callable[[Any], Any]
    base_url: str
    options: Mapping[str, Any] = field(default_factory=dict)
    bound: float = BOUND


def errors_in_time(kind: str, cases: list[Case]) -> dict[str, ClaudeAPIError]:
    """Return the calls' errors by case name; each has to be raised in time."""
    with Stalls() as stalls:
        ended = asyncio.run(_all_async(cases)) if kind == "async" else _all_sync(cases)
    for case, end in zip(cases, ended, strict=True):
        assert end.error is not None, (case, end)
    errors = {case.name: end.error for case, end in zip(cases, ended, strict=True)}
    late = {
        case.name: end
        for case, end in zip(cases, ended, strict=True)
        if end.seconds > case.bound + stalls.allowance(end.began, end.ended)
    }
    assert not late
    assert {name: error for name, error in errors.items() if not isinstance(error, ClaudeAPIError)} == {}
    print(f"{kind}: {len(cases)} calls, the longest took {max(end.seconds for end in ended):.3f} s")
    return {name: error for name, error in errors.items() if isinstance(error, ClaudeAPIError)}


def _all_sync(cases: list[Case]) -> list[CallResult]:
    def one(numbered: tuple[int, Case]) -> CallResult:
        number, case = numbered
        time.sleep(number * STAGGER)
        with make_client("sync", case.base_url, **case.options) as client:
            start = time.monotonic()
            try:
                result = case.call(client)
                value = list(result) if isinstance(result, Generator) else result
            except Exception as error:
                return CallResult(start, time.monotonic(), error=error)
            return CallResult(start, time.monotonic(), value)

    with ThreadPoolExecutor(len(cases)) as pool:
        return list(pool.map(one, enumerate(cases)))


async def _all_async(cases: list[Case]) -> list[CallResult]:
    async def one(number: int, case: Case) -> CallResult:
        await asyncio.sleep(number * STAGGER)
        async with make_client("async", case.base_url, **case.options) as client:
            start = time.monotonic()
            try:
                result = case.call(client)
                stream = isinstance(result, AsyncGenerator)
                value = [item async for item in result] if stream else await result
            except Exception as error:
                return CallResult(start, time.monotonic(), error=error)
            return CallResult(start, time.monotonic(), value)

    return await asyncio.gather(*(one(number, case) for number, case in enumerate(cases)))


def always(fault: Fault) -> Plan:
    early = isinstance(fault, StallRequest)
    return lambda exchange: fault if early or exchange.path else None


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


FAULTS: dict[str, Fault] = {
    "dripping head": Drip(0),
    "dripping body": Drip(250),
    "stalling": Stall(0),
    "stalling in the head": Stall(40),
    "stalling in the body": Stall(250),
    "stalling in the request": StallRequest(60),
}


@pytest.mark.slow
def test_slow_servers(kind: str, server: ContextServer, proxy: FaultProxy) -> None:
    errors = errors_in_time(
        kind,
        [
            Case(f"{name}, {call.__name__}", call, proxy.open(server.address, always(fault)).base_url)
            for name, fault in FAULTS.items()
            for call in CALLS
        ],
    )
    assert {name: error for name, error in errors.items() if not isinstance(error, TimeoutError)} == {}
    assert {name: error.attempts for name, error in errors.items() if error.attempts != 1} == {}
    server.wait_until_idle()
    assert len(server.tasks()) <= 2 * len(FAULTS)


@pytest.mark.slow
def test_server_that_reads_slowly(both: ClientKind) -> None:
    """Each part of a large request makes progress; the deadline is for all of it."""
    body, received, over = "x" * 20_000_000, [0], threading.Event()

    def read_slowly(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(1 << 18):
                received[0] += len(data)
                over.wait(0.2)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(15)  # a client that never connects
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)  # not all of it at once
        reading = pool.submit(read_slowly, listener)
        client = both.client(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", max_retries=0)
        with pytest.raises(TimeoutError):
            both.call(client.complete(body, timeout=2))
        read_by_then = received[0]
        over.set()
        reading.result()
    assert read_by_then < len(body) / 2


LATE: dict[str, Fault] = {name: FAULTS[name] for name in FAULTS if "request" not in name}


@pytest.mark.slow
def test_timeout_names_the_task(kind: str, server: ContextServer, proxy: FaultProxy) -> None:
    """Only the server's first response arrives; it has the task's id."""

    def after_the_id(fault: Fault) -> Plan:
        def plan(exchange: Exchange) -> Fault | None:
            if exchange.is_submit and "wait" in exchange.headers["prefer"]:
                return response(202, json.dumps(responses.task("pending", id="task_made_up")).encode())
            return fault if exchange.path and not exchange.is_submit else None

        return plan

    errors = errors_in_time(
        kind,
        [
            Case(f"{name}, {call.__name__}", call, proxy.open(server.address, after_the_id(fault)).base_url)
            for name, fault in LATE.items()
            for call in (execute, stream)
        ],
    )
    ids = {"task_made_up", *(id_ for id_, _, _ in server.tasks())}
    assert {name: error for name, error in errors.items() if not isinstance(error, TimeoutError)} == {}
    assert {name: error.task_id for name, error in errors.items() if error.task_id not in ids} == {}


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Stall(0), Drip(250)], ids=repr)
def test_handle_timeout_names_the_task(
    both: ClientKind, server: ContextServer, proxy: FaultProxy, fault: Fault
) -> None:
    port = proxy.open(server.address, lambda exchange: fault if exchange.method == "GET" else None)
    handle = both.call(both.client(port.base_url).submit_task("Wait", timeout=60, context=HOLD))
    with in_time(BOUND), pytest.raises(TimeoutError) as caught:
        both.call(handle.wait(TIMEOUT))
    assert caught.value.task_id == handle.id == server.tasks()[0][0]
    server.wait_until_idle()
    # A noisy machine may leave no time for the response.
    wait_for_background_work()
    assert server.tasks_by_status() == {"cancelled": 1}
    assert handle.status == "cancelled"


@pytest.mark.slow
def test_timeout_after_a_lost_response_names_the_task(kind: str, server: ContextServer, proxy: FaultProxy) -> None:
    """The response with its id is lost; the idempotency key finds the task."""
    for _ in range(3):
        port = proxy.open(server.address, Once(Stall(0)))
        error = errors_in_time(kind, [Case("lost", execute, port.base_url)])["lost"]
        assert isinstance(error, TimeoutError)
        if error.task_id is not None:  # otherwise the machine may have stalled just then: once more
            break
    assert error.task_id == [id_ for id_, _, _ in server.tasks()][-1]
    server.wait_until_idle()


@pytest.mark.slow
def test_endless_429s(kind: str, proxy: FaultProxy) -> None:
    waits = [None, "0", "0.02", "0.7", "30", "9000", "Fri, 31 Dec 2100 00:00:00 GMT"]
    errors = errors_in_time(
        kind,
        [
            Case(
                f"{wait}, {call.__name__}",
                call,
                proxy.open(plan=always(error_response(429, wait))).base_url,
                {"max_retries": 10_000},
            )
            for wait in waits
            for call in (execute, stream, complete)
        ],
    )
    assert {name: error.history[0] for name, error in errors.items() if "429" not in error.history[0]} == {}
    # The deadline may fall into an attempt.
    assert all(isinstance(error, RateLimitError | TimeoutError) for error in errors.values())
    assert not any(error.outcome_unknown for error in errors.values() if isinstance(error, RateLimitError))
    assert {name for name, error in errors.items() if not error.attempts == len(error.history) >= 1} == set()
    assert {error.attempts for name, error in errors.items() if name.startswith(("30", "9000", "Fri"))} == {1}
    assert errors["9000, execute"].retry_after == 9000.0


@pytest.mark.slow
def test_connection_refused(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    errors = errors_in_time(kind, [Case(call.__name__, call, base_url, {"max_retries": 10_000}) for call in CALLS])
    for error in errors.values():
        assert isinstance(error, APIConnectionError | TimeoutError)
        assert not error.outcome_unknown
        assert error.attempts == len(error.history) > 1


@pytest.mark.slow
def test_connection_not_accepted(kind: str) -> None:
    with _full() as base_url:
        error = errors_in_time(kind, [Case("full", execute, base_url)])["full"]
    assert isinstance(error, TimeoutError)
    assert not error.outcome_unknown


@contextlib.contextmanager
def _full() -> Iterator[str]:
    """Yield the URL of a listener whose accept queue is full, so that a further connection hangs."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        first, second = (stack.enter_context(socket.socket()) for _ in range(2))
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.slow
def test_server_receives_the_deadline(kind: str, server: ContextServer, proxy: FaultProxy) -> None:
    """The server ends a task that exceeds its deadline, and the client learns its status."""
    # Long enough for the server's end of the task to arrive within half a tenth of it.
    calls = {call.__name__: partial(call, timeout=3 * TIMEOUT) for call in (execute, stream)}
    for _ in range(3):
        port = proxy.open(server.address)
        cases = [Case(name, call, port.base_url, bound=3 * BOUND) for name, call in calls.items()]
        errors = errors_in_time(kind, cases)
        if port.cancels == 0:  # otherwise the machine may have stalled just then: once more
            break
    assert {(error.task_id, "timeout") for error in errors.values()} == {
        (id_, status) for id_, status, _ in server.tasks()[-2:]
    }
    for error in errors.values():
        assert isinstance(error, TimeoutError)
        assert error.task is not None
        assert error.task.status == "timeout"
    assert port.cancels == 0


@pytest.mark.slow
def test_two_waiters_on_one_handle_have_their_own_deadlines(
    kind: str, server: ContextServer, proxy: FaultProxy
) -> None:
    """One that times out does not wait until the deadline of the other for the response to its cancel."""
    port = proxy.open(server.address, lambda exchange: Stall(0) if exchange.is_cancel else None)
    seconds, other = asyncio.run(_two_waiters_async(port)) if kind == "async" else _two_waiters_sync(port)
    assert seconds >= TIMEOUT
    assert other.status == "cancelled"
    assert server.tasks_by_status() == {"cancelled": 1}
    wait_for_background_work()


def _has_waiter(port: Port) -> Callable[[], bool]:
    return lambda: any(exchange.method == "GET" for exchange in port.exchanges)


def _two_waiters_sync(port: Port) -> tuple[float, AgenticTaskResponse]:
    """Return the seconds after which the first call timed out, and the result of the second."""
    with make_client("sync", port.base_url) as client, ThreadPoolExecutor(2) as pool:
        handle = client.submit_task("Wait", timeout=60, context=HOLD)
        start = time.monotonic()
        with in_time(BOUND):
            short = pool.submit(handle.wait, TIMEOUT)
            port.wait_until(_has_waiter(port))
            long = pool.submit(handle.wait, 30.0)
            with pytest.raises(TimeoutError):
                short.result()
        return time.monotonic() - start, long.result()


async def _two_waiters_async(port: Port) -> tuple[float, AgenticTaskResponse]:
    async with make_client("async", port.base_url) as client:
        handle = await client.submit_task("Wait", timeout=60, context=HOLD)
        start = time.monotonic()
        with in_time(BOUND):
            short = asyncio.create_task(handle.wait(TIMEOUT))
            await asyncio.to_thread(port.wait_until, _has_waiter(port))
            long = asyncio.create_task(handle.wait(30.0))
            with pytest.raises(TimeoutError):
                await short
        return time.monotonic() - start, await long
