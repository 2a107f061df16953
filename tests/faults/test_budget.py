"""Budgets under concurrent calls, failed calls and calls whose outcome is unknown."""

from __future__ import annotations

import json
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.clients.concurrent_calls import call_concurrently, make_client, sampled
from support.fault_proxy.exchange import Exchange
from support.fault_proxy.faults import CutRequest, CutResponse, Fault, error_response, response
from support.fault_proxy.proxy import FaultProxy
from support.servers import responses
from support.servers.context_server import ContextServer

from claude_code_client._policy.budget import Budget
from claude_code_client.errors import ClaudeAPIError, CostExceededError, InvalidRequestError, TimeoutError

EPSILON = 1e-6
"""Rounding error of float sums, in USD."""
MODEL = {"id": "claude-x", "alias": "x", "input_price": 3.0, "output_price": 15.0, "context_window": 200_000}
PRICES = response(200, json.dumps({"data": [{**MODEL, "max_output_tokens": 8000, "default": True}]}).encode())
CHEAP = {**responses.COMPLETION, "usage": {**responses.COMPLETION["usage"], "cost": 0.001}}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_hundred_concurrent_calls_stay_within_the_budget(server: ContextServer, kind: str) -> None:
    """Sampled at the client, counted at every moment on the server."""
    limit, max_cost, cost, calls = 5.0, 0.1, 0.04, 300
    totals: list[float] = []
    client = make_client(kind, server.base_url, timeout=30)

    def run(description: str) -> Any:
        return lambda client: client.execute_task(
            description, max_cost=max_cost, context={"cost": cost, "seconds": 0.01}
        )

    with (
        client.budget(usd=limit) as budget,
        sampled(lambda: totals.append(budget.spent + budget.reserved)) as looks,
    ):
        ended = call_concurrently(client, [run(f"Count {number}") for number in range(calls)], max_concurrency=100)
    done = [end for end in ended if end.error is None]
    refused = [end.error for end in ended if end.error is not None]
    assert max(totals) <= limit + EPSILON
    assert limit / 2 < server.engine.most_committed <= limit + EPSILON
    assert len(server.tasks()) == len(done)
    assert len(done) + len(refused) == calls
    for error in refused:
        assert isinstance(error, CostExceededError)
        assert (error.estimated_cost, error.attempts) == (max_cost, 0)
    assert budget.spent == pytest.approx(len(done) * cost)
    assert budget.reserved == pytest.approx(0)
    assert budget.remaining == pytest.approx(limit - budget.spent)
    print(
        f"{kind}: {len(done)} calls done, {len(refused)} refused unsent; ${max(totals):.2f} of ${limit:.2f} at most in "
        f"{looks[0]} samples, ${server.engine.most_committed:.2f} as the server counts"
    )


@pytest.mark.slow
def test_reservations_are_atomic() -> None:
    """A hundred threads with constant switches obtain as many reservations as fit."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(10):
            budget, start = Budget(1.0), threading.Barrier(100)

            def reserve(budget: Budget = budget, start: threading.Barrier = start) -> int:
                start.wait(20)
                taken = 0
                with suppress(CostExceededError):
                    while budget.reserve(0.01):
                        taken += 1
                return taken

            with ThreadPoolExecutor(100) as pool:
                taken = [future.result() for future in [pool.submit(reserve) for _ in range(100)]]
            assert sum(taken) == 100
            assert budget.reserved == pytest.approx(1.0)
    finally:
        sys.setswitchinterval(before)


def test_call_over_budget_sends_nothing(both: ClientKind, server: ContextServer, proxy: FaultProxy) -> None:
    port = proxy.open(server.address)
    client = both.client(port.base_url)
    with client.budget(usd=0.5) as budget:
        for call in (client.execute_task, client.submit_task, client.stream_task):
            with pytest.raises(CostExceededError) as caught:
                _carry_out(both, call("Count", max_cost=0.6))
            assert (caught.value.estimated_cost, caught.value.attempts) == (0.6, 0)
            assert not caught.value.outcome_unknown
        with pytest.raises(CostExceededError) as caught:
            both.call(client.execute_task("Count"))
        assert caught.value.estimated_cost == 1.0, "what the server gives a task that names no maximum"
        assert (budget.limit, budget.spent, budget.reserved, budget.remaining) == (0.5, 0, 0, 0.5)
    assert port.submits == 0
    assert both.call(client.execute_task("Count", max_cost=0.6)).status == "completed"


def _carry_out(both: ClientKind, result: Any) -> Any:
    return list(both.each(result)) if hasattr(result, "__next__") or hasattr(result, "__anext__") else both.call(result)


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_finished_task_is_charged(both: ClientKind, server: ContextServer, status: str) -> None:
    client = both.client(server.base_url)
    context = {"cost": 0.25, "status": status, "events": 2}
    with client.budget(usd=5) as budget:
        both.call(client.execute_task("Count", max_cost=1, context=context))
        assert (budget.spent, budget.reserved) == (0.25, 0)
        list(both.each(client.stream_task("Count", max_cost=1, context=context)))
        assert (budget.spent, budget.reserved) == (0.5, 0)
        handle = both.call(client.submit_task("Count", max_cost=1, context=context))
        both.call(handle.wait())
        assert (budget.spent, budget.reserved) == (0.75, 0)
        assert handle.usage.cost == 0.25


@pytest.mark.parametrize("status", ["timeout", "cost_exceeded"])
def test_task_ended_by_a_limit_is_charged(both: ClientKind, server: ContextServer, status: str) -> None:
    client = both.client(server.base_url)
    context = {"cost": 0.25, "status": status}
    expected = (TimeoutError, CostExceededError)
    with client.budget(usd=5) as budget:
        with pytest.raises(expected):
            both.call(client.execute_task("Count", max_cost=1, context=context))
        assert (budget.spent, budget.reserved) == (0.25, 0)
        with pytest.raises(expected):
            list(both.each(client.stream_task("Count", max_cost=1, context=context)))
        assert (budget.spent, budget.reserved) == (0.5, 0)


def test_cancelled_and_abandoned_tasks_are_charged(both: ClientKind, server: ContextServer) -> None:
    client = both.client(server.base_url)
    context = {"cost": 0.25, "hold": True, "events": 1}
    with client.budget(usd=5) as budget:
        handle = both.call(client.submit_task("Count", max_cost=1, context=context))
        assert (budget.spent, budget.reserved) == (0, 1)
        assert both.call(handle.cancel()).status == "cancelled"
        assert (budget.spent, budget.reserved) == (0.25, 0)
        events = both.each(client.stream_task("Count", max_cost=1, context=context))
        next(events)
        assert (budget.spent, budget.reserved) == (0.25, 1)
        events.close()  # type: ignore[attr-defined]
        assert (budget.spent, budget.reserved) == (0.5, 0)
    assert server.tasks_by_status() == {"cancelled": 2}


@pytest.mark.parametrize("fault", [CutRequest(150, "rst"), CutResponse(0, "fin"), CutResponse(200, "rst")], ids=repr)
@pytest.mark.parametrize("call", ["execute_task", "submit_task", "stream_task"])
def test_unknown_cost_stays_reserved(
    both: ClientKind, server: ContextServer, proxy: FaultProxy, fault: Fault, call: str
) -> None:
    early = isinstance(fault, CutRequest)
    port = proxy.open(server.address, lambda exchange: fault if early or exchange.path else None)
    client = both.client(port.base_url, max_retries=0)
    with client.budget(usd=1) as budget:
        with pytest.raises(ClaudeAPIError) as caught:
            _carry_out(both, getattr(client, call)("Count", max_cost=0.7))
        assert caught.value.outcome_unknown
        assert (budget.spent, budget.reserved) == (0, 0.7)
        sent = len(port.seen)
        with pytest.raises(CostExceededError):
            _carry_out(both, getattr(client, call)("Count", max_cost=0.7))
        assert len(port.seen) == sent
    assert len(server.tasks()) == (0 if early else 1)


@pytest.mark.parametrize("call", ["execute_task", "submit_task", "stream_task"])
def test_refused_call_releases_its_reservation(
    both: ClientKind, server: ContextServer, proxy: FaultProxy, call: str
) -> None:
    rejections = [error_response(429), error_response(503), response(401), response(403), response(413)]
    port = proxy.open(server.address, lambda exchange: rejections[exchange.number] if exchange.path else None)
    client = both.client(port.base_url, max_retries=0)
    with client.budget(usd=1) as budget:
        for _ in rejections:
            with pytest.raises(ClaudeAPIError) as caught:
                _carry_out(both, getattr(client, call)("Count"))
            assert not caught.value.outcome_unknown
            assert (budget.spent, budget.reserved) == (0, 0)
        with pytest.raises(InvalidRequestError):
            _carry_out(both, getattr(client, call)("Count", timeout=10, max_cost=-1))
        assert (budget.spent, budget.reserved) == (0, 0)


def test_unreachable_server_releases_the_reservation(both: ClientKind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    client = both.client(base_url, max_retries=1)
    with client.budget(usd=1) as budget:
        with pytest.raises(ClaudeAPIError):
            both.call(client.execute_task("Count"))
        assert (budget.spent, budget.reserved) == (0, 0)


def test_completions_are_charged(both: ClientKind, proxy: FaultProxy) -> None:
    done = json.dumps({"type": "completion", "completion": CHEAP}).encode()
    events = b'event: text_delta\ndata: {"type": "text_delta", "text": "Py"}\n\nevent: completion\ndata: %s\n\n' % done

    def plan(exchange: Exchange) -> Fault | None:
        if exchange.path.endswith("/stream"):
            return response(200, events, Content_Type="text/event-stream")
        if not exchange.path:
            return None
        return response(200, json.dumps(CHEAP).encode()) if exchange.method == "POST" else PRICES

    port = proxy.open(plan=plan)
    client = both.client(port.base_url)
    cost = CHEAP["usage"]["cost"]
    with client.budget(usd=1) as budget:
        both.call(client.complete("Hello", max_tokens=100))
        assert (budget.spent, budget.reserved) == (cost, 0)
        list(both.each(client.stream_complete("Hello", max_tokens=100)))
        assert (budget.spent, budget.reserved) == (2 * cost, 0)
    with client.budget(usd=0.000001) as budget:
        before = len(port.seen)
        for call in (client.complete, client.stream_complete):
            with pytest.raises(CostExceededError) as caught:
                _carry_out(both, call("Hello"))
            assert (caught.value.estimated_cost or 0) > budget.limit
        assert len(port.seen) == before


def test_interrupted_completion_stays_reserved(both: ClientKind, server: ContextServer, proxy: FaultProxy) -> None:
    def plan(exchange: Exchange) -> Fault | None:
        if exchange.path.endswith("/models"):
            return PRICES
        return CutResponse(0, "rst") if exchange.path else None

    client = both.client(proxy.open(server.address, plan).base_url, max_retries=0)
    for call in (client.complete, client.stream_complete):
        with client.budget(usd=1) as budget:
            with pytest.raises(ClaudeAPIError) as caught:
                _carry_out(both, call("Hello", max_tokens=100))
            assert caught.value.outcome_unknown
            assert budget.spent == 0 < budget.reserved


def test_nested_budgets(both: ClientKind, server: ContextServer) -> None:
    client = both.client(server.base_url)
    with ExitStack() as stack:
        outer, inner = (stack.enter_context(client.budget(usd=usd)) for usd in (5, 1))
        both.call(client.execute_task("Count", max_cost=0.8, context={"cost": 0.5}))
        with pytest.raises(CostExceededError):
            both.call(client.execute_task("Count", max_cost=0.8))
        both.call(client.with_options(timeout=20).execute_task("Count", max_cost=0.5, context={"cost": 0.25}))
    assert (outer.spent, inner.spent) == (0.75, 0.75)
    assert (outer.reserved, inner.reserved) == (0, 0)
    both.call(client.execute_task("Count", context={"cost": 0.5}))
    assert outer.spent == 0.75
