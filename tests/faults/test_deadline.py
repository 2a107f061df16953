"""``timeout`` bounds the whole call, whatever the server does; at most a tenth of it is added to learn how a task stands."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from support import wire
from support.both import Both
from support.fault_proxy import Exchange, FaultProxy, Plan
from support.faults import Drip, Fault, Stall, StallRequest, answer, refusal
from support.scripted_server import Scripted

from claude_code_client.errors import APIConnectionError, ClaudeAPIError, RateLimitError, TimeoutError

TIMEOUT = 1.0
BOUND = 1.1
NOISE = 0.15
"""Seconds that a busy machine may take to wake a thread and to unwind a call."""
HOLD = {"hold": True}
Call = Callable[[Any], Any]

FAULTS: dict[str, Fault] = {
    "dripping head": Drip(0),
    "dripping body": Drip(250),
    "stalling": Stall(0),
    "stalling in the head": Stall(40),
    "stalling in the body": Stall(250),
    "stalling in the request": StallRequest(60),
}


def execute(client: Any) -> Any:
    return client.execute_task("Wait", timeout=TIMEOUT, context=HOLD)


def stream(client: Any) -> Any:
    return client.stream_task("Wait", timeout=TIMEOUT, context=HOLD)


def complete(client: Any) -> Any:
    return client.complete("Hello", timeout=TIMEOUT)


def stream_complete(client: Any) -> Any:
    return client.stream_complete("Hello", timeout=TIMEOUT)


def read(client: Any) -> Any:
    return client.with_options(timeout=TIMEOUT).list_models()


def timed(both: Both, base_url: str, call: Call, **options: Any) -> ClaudeAPIError:
    """The error that the call ends with, which has to come in time."""
    client = both.client(base_url, **options)
    start = time.monotonic()
    with pytest.raises(ClaudeAPIError) as caught:
        result = call(client)
        list(both.each(result)) if hasattr(result, "close") else both.call(result)
    seconds = time.monotonic() - start
    assert seconds <= BOUND + NOISE, f"{seconds:.3f} s: {caught.value!r}"
    print(f"{both.kind}: {type(caught.value).__name__} in {seconds:.3f} s")
    return caught.value


def always(fault: Fault) -> Plan:
    early = isinstance(fault, StallRequest)
    return lambda exchange: fault if early or exchange.path else None


@pytest.mark.parametrize("call", [execute, stream, complete, stream_complete, read], ids=lambda call: call.__name__)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_servers_that_take_their_time(
    both: Both, server: Scripted, proxy: FaultProxy, fault: Fault, call: Call
) -> None:
    error = timed(both, proxy.open(server.address, always(fault)).base_url, call)
    assert isinstance(error, TimeoutError)
    assert error.attempts == 1
    server.engine.wait_until(lambda: server.engine.running == 0, 3)
    assert len(server.tasks()) <= 1


@pytest.mark.parametrize("fault", [Drip(0), Drip(250), Stall(0), Stall(250)], ids=repr)
@pytest.mark.parametrize("call", [execute, stream], ids=lambda call: call.__name__)
def test_the_task_is_named(both: Both, server: Scripted, proxy: FaultProxy, fault: Fault, call: Call) -> None:
    """The server gives the task's id, and lets nothing but that through."""

    def plan(exchange: Exchange) -> Fault | None:
        if exchange.is_submit and "wait" in exchange.headers["prefer"]:
            body = json.dumps(wire.task("pending", id="task_made_up")).encode()
            return answer(202, body)
        return fault if exchange.path and not exchange.is_submit else None

    error = timed(both, proxy.open(server.address, plan).base_url, call)
    assert isinstance(error, TimeoutError)
    assert error.task_id in {"task_made_up", *(id_ for id_, _, _ in server.tasks())}


@pytest.mark.parametrize("fault", [Stall(0), Drip(250)], ids=repr)
def test_the_task_of_a_handle_is_named(both: Both, server: Scripted, proxy: FaultProxy, fault: Fault) -> None:
    port = proxy.open(server.address, lambda exchange: fault if exchange.method == "GET" else None)
    client = both.client(port.base_url)
    handle = both.call(client.submit_task("Wait", timeout=60, context=HOLD))
    start = time.monotonic()
    with pytest.raises(TimeoutError) as caught:
        both.call(handle.wait(TIMEOUT))
    assert time.monotonic() - start <= BOUND + NOISE
    assert caught.value.task_id == handle.id == server.tasks()[0][0]
    server.engine.wait_until(lambda: server.engine.running == 0, 3)
    assert server.statuses() == {"cancelled": 1}
    assert handle.status == "cancelled"


def test_the_task_of_a_cut_answer_is_named(both: Both, server: Scripted, proxy: FaultProxy) -> None:
    """Its id never came; the key that it was submitted with finds it."""
    port = proxy.open(server.address, lambda exchange: Stall(0) if exchange.number == 0 and exchange.path else None)
    error = timed(both, port.base_url, execute)
    assert isinstance(error, TimeoutError)
    assert error.task_id == server.tasks()[0][0]
    server.engine.wait_until(lambda: server.engine.running == 0, 3)


@pytest.mark.parametrize("retry_after", [None, "0", "0.02", "0.7", "30", "9000", "Fri, 31 Dec 2100 00:00:00 GMT"])
@pytest.mark.parametrize("call", [execute, stream, complete], ids=lambda call: call.__name__)
def test_endless_429s(both: Both, proxy: FaultProxy, retry_after: str | None, call: Call) -> None:
    error = timed(both, proxy.open(plan=always(refusal(429, retry_after))).base_url, call, max_retries=10_000)
    assert isinstance(error, RateLimitError)
    assert error.attempts == len(error.history) >= 1
    assert not error.outcome_unknown
    if retry_after == "9000":
        assert (error.attempts, error.retry_after) == (1, 9000.0)


@pytest.mark.parametrize("call", [execute, stream, complete, read], ids=lambda call: call.__name__)
def test_where_nothing_listens(both: Both, call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    error = timed(both, base_url, call, max_retries=10_000)
    assert isinstance(error, APIConnectionError | TimeoutError)
    assert not error.outcome_unknown


def test_where_nobody_accepts(both: Both) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        with socket.create_connection(listener.getsockname()), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(listener.getsockname())
            error = timed(both, f"http://127.0.0.1:{listener.getsockname()[1]}", execute)
        assert isinstance(error, TimeoutError)


def test_the_server_is_told(both: Both, server: Scripted, proxy: FaultProxy) -> None:
    """A task that runs too long is ended by the server, and how is known."""
    port = proxy.open(server.address)
    error = timed(both, port.base_url, execute)
    assert isinstance(error, TimeoutError)
    assert error.task_id == server.tasks()[0][0]
    assert server.statuses() == {"timeout": 1}
    assert error.task is not None
    assert error.task.status == "timeout"
    assert port.cancels == 0
