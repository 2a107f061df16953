"""Campaign of concurrent calls while a quarter of the exchanges fail: none is lost, run twice or late."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.clients.background_work import wait_for_background_work
from support.clients.concurrent_calls import CallResult, call_concurrently, make_client
from support.fault_proxy.campaign import OVERDUE, PlannedCall, expected_result, planned_calls, random_faults
from support.fault_proxy.proxy import FaultProxy
from support.servers.context_server import ContextServer
from support.stalls import Stalls

from claude_code_client._operations.task_deadlines import CANCEL_TIMEOUT
from claude_code_client.errors import ClaudeAPIError

pytestmark = pytest.mark.slow

TIMEOUT = 3.0
ROUND = 200
"""Calls per client, so that its retry quota is not used up."""
LEAST = 0.8
"""Share of the calls that have to succeed despite the faults; ``overdue`` ones cannot."""
STALLED = 0.1
"""Share of its timeout that the machine may have stalled during a call that has to succeed."""
_WITH_A_TASK = 1.1
"""A call about a task may exceed its timeout by a tenth, in which it cancels the task and learns its status."""


def _longest(kind: str) -> float:
    """Return the seconds that a call may take."""
    match kind:
        case "complete":
            return TIMEOUT
        case "handle":
            # Its submit and its wait are calls of their own.
            return 2 * _WITH_A_TASK * TIMEOUT
        case "leave":
            # The first event may come at the last moment. Cancelling the task that is left has a timeout of its own.
            return _WITH_A_TASK * TIMEOUT + CANCEL_TIMEOUT
        case "overdue":
            return _WITH_A_TASK * OVERDUE
        case _:
            return _WITH_A_TASK * TIMEOUT


@pytest.mark.parametrize(
    ("count", "max_concurrency", "seed"),
    [(50, 16, "short"), pytest.param(2000, 10, "long", marks=pytest.mark.long)],
    ids=["short", "long"],
)
@pytest.mark.timeout(300)
def test_random_faults_campaign(
    server: ContextServer, proxy: FaultProxy, count: int, max_concurrency: int, seed: str
) -> None:
    """Run ``count`` synchronous and ``count`` asynchronous calls at the same time."""
    ports = {kind: proxy.open(server.address, random_faults(f"{kind} {seed}")) for kind in ("sync", "async")}
    planned = {kind: planned_calls(kind, count, seed) for kind in ports}

    def run(kind: str) -> list[CallResult]:
        jobs = [call.job for call in planned[kind]]
        ended = []
        for start in range(0, count, ROUND):
            client = make_client(kind, ports[kind].base_url, timeout=TIMEOUT)
            ended += call_concurrently(client, jobs[start : start + ROUND], max_concurrency)
        return ended

    with Stalls() as stalls, ThreadPoolExecutor(2) as pool:
        ended = dict(zip(ports, pool.map(run, ports), strict=True))
    results = [pair for kind in ports for pair in zip(planned[kind], ended[kind], strict=True)]
    for call, end in results:
        assert _late(call, end) <= stalls.allowance(end.began, end.ended), (call, end)
        _check_call(call, end)
    # What nobody could tell the server to stop ends by its own timeout.
    server.wait_until_idle()
    wait_for_background_work()
    _check_store(server, results)
    right = sum(end.error is None for _, end in results)
    # A stalled machine leaves too little time for the retries of some.
    stalled = sum(
        end.error is not None and stalls.seconds(end.began, end.ended) > STALLED * TIMEOUT for _, end in results
    )
    assert right >= (2 * count - stalled) * LEAST, Counter(_how(end) for _, end in results)
    met = sum((port.counts for port in ports.values()), Counter())
    print(f"{2 * count} calls, {sum(met.values())} exchanges: {_table(met)}")
    print(f"  ended with: {_table(Counter(_how(end) for _, end in results))}")
    longest, latest = max(end.seconds for _, end in results), max(_late(*pair) for pair in results)
    print(f"  the longest took {longest:.2f} s, the latest {latest * 1000:.0f} ms more than it may")
    submits, tasks = sum(call.kind != "complete" for call, _ in results), len(server.tasks())
    print(f"  {submits} submits: {tasks} ran once, {submits - tasks} never, none twice")
    print(f"  {_table(server.tasks_by_status())}")


def _late(call: PlannedCall, end: CallResult) -> float:
    """Return the seconds by which a call exceeded what it may take; negative if it did not."""
    return end.seconds - _longest(call.kind)


def _check_call(call: PlannedCall, end: CallResult) -> None:
    if end.error is None:
        assert end.value == expected_result(call), (call, end)
        assert call.kind != "overdue", (call, end)
        return
    assert isinstance(end.error, ClaudeAPIError), (call, end)


def _check_store(server: ContextServer, results: list[tuple[PlannedCall, CallResult]]) -> None:
    stored = server.tasks_by_description()
    assert server.engine.runs == stored
    assert set(stored.values()) <= {1}
    submits = {call.description: end for call, end in results if call.kind != "complete"}
    assert stored.keys() <= submits.keys()
    ids = {id_: description for id_, _, description in server.tasks()}
    for description, end in submits.items():
        if not isinstance(end.error, ClaudeAPIError):
            assert stored[description] == 1, (description, end)
        elif end.error.task_id is not None:
            assert ids[end.error.task_id] == description, (description, end)
        elif not end.error.outcome_unknown:
            assert stored[description] == 0, (description, end)
    completions = [end.error for call, end in results if call.kind == "complete"]
    assert completions.count(None) <= server.billed() - len(ids) <= len(completions)
    assert server.tasks_by_status().keys() <= {"completed", "cancelled", "timeout"}


def _how(end: CallResult) -> str:
    return "the right result" if end.error is None else type(end.error).__name__


def _table(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.most_common())
