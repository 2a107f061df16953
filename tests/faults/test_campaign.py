"""Many calls at once while a quarter of all that is sent goes wrong: none is lost, none is run twice, none is late."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.chaos import OVERDUE, Planned, calls, faults, right_answer
from support.crowd import Ended, client_of, crowd
from support.fault_proxy import FaultProxy
from support.scripted_server import Scripted

from claude_code_client.errors import ClaudeAPIError

TIMEOUT = 3.0
NOISE = 0.4
"""Seconds that a busy machine may take to wake a thread and to unwind a call."""


@pytest.mark.parametrize(
    ("count", "at_once", "seed"),
    [(75, 16, "short"), pytest.param(2000, 24, "long", marks=pytest.mark.long)],
    ids=["short", "long"],
)
@pytest.mark.timeout(300)
def test_campaign(server: Scripted, proxy: FaultProxy, count: int, at_once: int, seed: str) -> None:
    """Synchronous and asynchronous calls at the same time, ``count`` of each."""
    ports = {kind: proxy.open(server.address, faults(f"{kind} {seed}")) for kind in ("sync", "async")}
    planned = {kind: calls(kind, count, seed) for kind in ports}

    def run(kind: str) -> list[Ended]:
        client = client_of(kind, ports[kind].base_url, timeout=TIMEOUT)
        return crowd(client, [call.job for call in planned[kind]], at_once)

    with ThreadPoolExecutor(2) as pool:
        ended = dict(zip(ports, pool.map(run, ports), strict=True))
    results = [pair for kind in ports for pair in zip(planned[kind], ended[kind], strict=True)]
    for call, end in results:
        _check_call(call, end)
    # What nobody could tell the server to stop ends by its own timeout.
    server.engine.wait_until(lambda: server.engine.running == 0, TIMEOUT + 1)
    _check_store(server, results)
    assert [thread.name for thread in threading.enumerate() if "tidy up" in thread.name] == []
    met = sum((port.counts for port in ports.values()), Counter())
    print(f"{2 * count} calls, {sum(met.values())} exchanges: {_table(met)}")
    print(f"  ended with: {_table(Counter(_how(end) for _, end in results))}")
    print(
        f"  the longest took {max(end.seconds for _, end in results):.2f} s; {len(server.tasks())} tasks in the store"
    )
    print(f"  tasks: {_table(server.statuses())}; one for each submit, none left running")


def _check_call(call: Planned, end: Ended) -> None:
    timeout = OVERDUE if call.kind == "overdue" else TIMEOUT
    # A handle's wait is a call of its own.
    bound = timeout * 1.1 * (2 if call.kind == "handle" else 1) + NOISE
    assert end.seconds <= bound, (call, end)
    if end.error is None:
        assert end.value == right_answer(call), (call, end)
        assert call.kind != "overdue", (call, end)
        return
    assert isinstance(end.error, ClaudeAPIError), (call, end)
    assert end.error.attempts >= 1, (call, end)


def _check_store(server: Scripted, results: list[tuple[Planned, Ended]]) -> None:
    stored = server.described()
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
    assert server.statuses().keys() <= {"completed", "cancelled", "timeout"}


def _how(end: Ended) -> str:
    return "the right result" if end.error is None else type(end.error).__name__


def _table(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.most_common())
