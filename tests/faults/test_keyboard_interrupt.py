"""KeyboardInterrupt (Ctrl-C): cancels the current task once and ends the process promptly with the usual exit code."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.clients.client_process import client_process
from support.fault_proxy.exchange import Exchange
from support.fault_proxy.faults import Fault, Stall
from support.fault_proxy.proxy import FaultProxy
from support.servers.context_server import ContextServer
from support.stalls import Stalls

from claude_code_client._operations.task_deadlines import CANCEL_TIMEOUT

pytestmark = pytest.mark.slow

HOLD: dict[str, Any] = {"context": {"hold": True, "events": 1, "cost": 0.25}, "max_cost": 1.0, "timeout": 60.0}
BOUND = 3.0
"""Seconds from the signal to the end of the process."""


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("call", ["execute_task", "stream_task", "stream_task, lingering", "submit_task"])
def test_keyboard_interrupt_cancels_the_task(server: ContextServer, proxy: FaultProxy, kind: str, call: str) -> None:
    port = proxy.open(server.address)
    name, lingering, _ = call.partition(", lingering")
    with client_process(kind, port.base_url, name, {"description": "Wait", **HOLD}, linger=bool(lingering)) as worker:
        server.engine.wait_until(lambda: server.engine.running == 1)
        match name:
            case "execute_task":
                port.wait_until(lambda: bool(port.seen) and port.seen[-1].path != "")
            case "stream_task":
                worker.wait_for("event")
            case "submit_task":
                port.wait_until(lambda: any(exchange.method == "GET" for exchange in port.seen))
        with Stalls() as stalls:
            code, said = worker.interrupt(BOUND)
    _check_interrupted(code, said)
    if port.cancels == 0 and stalls.seconds() > CANCEL_TIMEOUT / 2:
        return  # the machine left no time for it
    assert port.cancels == 1
    assert server.tasks_by_status() == {"cancelled": 1}
    assert server.engine.running == 0


@pytest.mark.parametrize(("kind", "call"), [("sync", "execute_task"), ("async", "stream_task")])
def test_keyboard_interrupt_with_a_silent_server(
    server: ContextServer, proxy: FaultProxy, kind: str, call: str
) -> None:
    """The responses to the submit and to the cancel never arrive."""

    def plan(exchange: Exchange) -> Fault | None:
        return Stall(0) if exchange.is_cancel or (exchange.path and exchange.number == 0) else None

    port = proxy.open(server.address, plan)
    with client_process(kind, port.base_url, call, {"description": "Wait", **HOLD}) as worker:
        server.engine.wait_until(lambda: server.engine.running == 1)
        code, said = worker.interrupt(BOUND)
    _check_interrupted(code, said)
    assert port.cancels == 1
    server.wait_until_idle()
    assert server.tasks_by_status() == {"cancelled": 1}


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_keyboard_interrupt_with_an_unresponsive_server(server: ContextServer, proxy: FaultProxy, kind: str) -> None:
    port = proxy.open(server.address, lambda exchange: Stall(0) if exchange.path else None)
    with client_process(kind, port.base_url, "execute_task", {"description": "Wait", **HOLD}) as worker:
        server.engine.wait_until(lambda: server.engine.running == 1)
        code, said = worker.interrupt(BOUND)
    _check_interrupted(code, said)
    assert len(server.tasks()) == 1


def _check_interrupted(code: int, said: str) -> None:
    assert code in (-signal.SIGINT, 128 + signal.SIGINT), said
    assert said.rstrip().splitlines()[-1].startswith("KeyboardInterrupt") or "\nKeyboardInterrupt" in said, said


def test_keyboard_interrupt_after_detach(both: ClientKind, server: ContextServer, proxy: FaultProxy) -> None:
    port = proxy.open(server.address)
    task = {"description": "Wait", **HOLD}
    with client_process(both.kind, port.base_url, "submit_task", task, detach=True, stay=True) as worker:
        id_ = worker.wait_for("id")
        worker.wait_for("done")
        worker.interrupt()
    assert port.cancels == 0
    assert server.tasks_by_status() == {"running": 1}
    assert both.call(both.client(port.base_url).cancel_task(id_)).usage.cost == 0.25
