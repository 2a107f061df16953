"""Journal: a client killed at any step of a submit loses no task, and its recovery runs none twice."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.clients.client_process import ClientProcess, client_process
from support.clients.concurrent_calls import make_client
from support.fault_proxy.exchange import Exchange, Once, Plan, no_faults
from support.fault_proxy.faults import (
    CutRequest,
    Fault,
    Refuse,
    Stall,
    StallRequest,
    StartFault,
    error_response,
    response,
)
from support.fault_proxy.proxy import FaultProxy, Port
from support.servers import responses
from support.servers.context_server import ContextServer
from support.stalls import in_time

from claude_code_client.errors import APIConnectionError, ClaudeAPIError, ConfigurationError, PermissionError

TASK = {"seconds": 0.5, "events": 2, "cost": 0.25}
QUICK = {**TASK, "seconds": 0.05}


@dataclass(frozen=True)
class Step:
    """Step at which a client is killed."""

    name: str
    until: Callable[[ClientProcess, Port], object]
    """Waits until the client has reached the step."""
    call: str = "execute_task"
    plan: Callable[[], Plan] = field(default=lambda: no_faults)
    options: dict[str, Any] = field(default_factory=dict)
    tasks: int = 1
    """Expected number of tasks in the end."""
    recovered: int = 1


def _at(worker: ClientProcess, _: Port) -> None:
    worker.wait_for("at")


def _stalled(_: ClientProcess, port: Port) -> None:
    port.wait_until(lambda: port.seen[0].reached if port.seen else False)


def _asking(_: ClientProcess, port: Port) -> None:
    port.wait_until(lambda: any(exchange.method == "GET" for exchange in port.seen))


STEPS = [
    Step("before it is noted", _at, options={"pause": ("journal", 2)}, tasks=0, recovered=0),
    Step("before it connects", _at, options={"pause": ("connect", 1)}),
    Step("within the request's head", _stalled, plan=lambda: Once(StallRequest(100))),
    Step("within the request's body", _stalled, plan=lambda: Once(StallRequest(380))),
    Step("with the request sent", _stalled, plan=lambda: Once(Stall(0))),
    Step("within the response's head", _stalled, plan=lambda: Once(Stall(40))),
    Step("within the response's body", _stalled, plan=lambda: Once(Stall(400))),
    Step("before its id is noted", _at, options={"pause": ("journal", 3)}),
    Step("waiting", _asking, call="submit_task"),
    Step("streaming", lambda worker, _: worker.wait_for("event"), call="stream_task"),
    Step("before its end is noted", _at, call="submit_task", options={"pause": ("journal", 4)}),
    Step("after its end", lambda worker, _: worker.wait_for("done"), options={"stay": True}, recovered=0),
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("parts", [2, pytest.param(1, marks=pytest.mark.long)])
def test_killed_at_every_step(server: ContextServer, proxy: FaultProxy, tmp_path: Path, kind: str, parts: int) -> None:
    """In the short run the two clients take turns with the steps; in the long run each takes all."""
    steps = STEPS[(kind == "async") % parts :: parts]

    def kill_and_recover(numbered: tuple[int, Step]) -> list[str]:
        number, step = numbered
        journal = tmp_path / f"journal {number}"
        port = proxy.open(server.address, step.plan())
        task = {"description": step.name, "context": TASK}
        with client_process(kind, port.base_url, step.call, task, journal=str(journal), **step.options) as worker:
            step.until(worker, port)
            worker.kill()
        summaries = recover(kind, server.base_url, journal)
        assert recover(kind, server.base_url, journal) == []
        return summaries

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(kill_and_recover, enumerate(steps)))
    recovered = {step.name: result for step, result in zip(steps, results, strict=True)}
    assert recovered == {step.name: [f"Done: {step.name}"] * step.recovered for step in steps}
    assert server.tasks_by_description() == server.engine.runs == {step.name: 1 for step in steps if step.tasks}
    assert server.tasks_by_status() == {"completed": sum(step.tasks for step in steps)}
    print(f"{kind}: killed at {len(steps)} steps, {len(server.tasks())} tasks")


def recover(kind: str, base_url: str, journal: Path) -> list[str]:
    """Recover the journal with a new client; return the summaries of its tasks."""
    client = make_client(kind, base_url, journal=journal, timeout=20)

    async def recover() -> list[str]:
        async with client:
            return [(await handle.wait()).result["summary"] for handle in await client.recover()]

    if kind == "async":
        return asyncio.run(recover())
    with client:
        return [handle.wait().result["summary"] for handle in client.recover()]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_recovery_by_another_process(server: ContextServer, proxy: FaultProxy, tmp_path: Path, kind: str) -> None:
    port = proxy.open(server.address, Once(Stall(0)))
    journal = str(tmp_path / "journal")
    with client_process(
        kind, port.base_url, "execute_task", {"description": "Count", "context": TASK}, journal=journal
    ) as one:
        port.wait_until_reached(Stall)
        one.kill()
    with client_process(kind, port.base_url, "recover", {}, journal=journal) as other:
        id_, status = other.wait_for("id").split()
        other.wait_for("done")
    assert server.tasks() == [(id_, "completed", "Count")]
    assert (status, server.engine.runs) == ("completed", {"Count": 1})


@pytest.mark.slow
def test_two_processes_share_a_journal(server: ContextServer, tmp_path: Path) -> None:
    """A client of each kind: both write concurrently and are killed; every entry is found."""
    times, journal = 12, tmp_path / "journal"
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                client_process(
                    kind,
                    server.base_url,
                    "submit_task",
                    {"description": name, "context": TASK},
                    journal=str(journal),
                    times=times,
                    detach=True,
                    stay=True,
                )
            )
            for kind, name in (("sync", "one"), ("async", "other"))
        ]
        for worker in workers:
            worker.wait_for("done")
            worker.kill()
    expected = {f"{name} {number}": 1 for name in ("one", "other") for number in range(times)}
    assert len(journal.read_bytes().splitlines()) == 2 * len(expected)
    assert {summary.removeprefix("Done: "): 1 for summary in recover("sync", server.base_url, journal)} == expected
    assert server.tasks_by_description() == server.engine.runs == expected


@pytest.mark.parametrize("torn", [1, 2, 3, 5, 8, 13])
def test_torn_line(server: ContextServer, tmp_path: Path, torn: int) -> None:
    """A line truncated by a crash does not affect the lines before and after it."""
    journal = tmp_path / "journal"
    with make_client("sync", server.base_url, journal=journal, timeout=20) as client:
        client.submit_task("before", context=QUICK).detach()
        lines = journal.read_bytes()
        with journal.open("ab") as file:
            file.write(lines.splitlines()[0][: -torn * 8])
        client.submit_task("after", context=QUICK).detach()
    assert recover("sync", server.base_url, journal) == ["Done: before", "Done: after"]
    assert server.tasks_by_description() == {"before": 1, "after": 1}


def test_file_that_is_not_a_journal(both: ClientKind, server: ContextServer, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    both.call(both.client(server.base_url, journal=journal).submit_task("Count", context=QUICK)).detach()
    journal.write_bytes(b'\xff\xfe\x00garbage\n[1]\n"x"\n{"key": 3}\n{"key": "a", "body": 7}\n' + journal.read_bytes())
    assert recover(both.kind, server.base_url, journal) == ["Done: Count"]


def test_unusable_journal_paths(both: ClientKind, server: ContextServer, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere" / "journal", "\0"):
        with pytest.raises(ConfigurationError) as caught:
            both.client(server.base_url, journal=path)
        assert caught.value.param == "journal"
    with pytest.raises(ConfigurationError, match="journal"):
        both.call(both.client(server.base_url).recover())


def test_journal_that_disappears(both: ClientKind, server: ContextServer, tmp_path: Path) -> None:
    """Nothing is sent that could not be journalled."""
    folder = tmp_path / "folder"
    folder.mkdir()
    client = both.client(server.base_url, journal=folder / "journal")
    (folder / "journal").unlink()
    folder.rmdir()
    for call in (client.execute_task, client.submit_task):
        with pytest.raises(ConfigurationError):
            both.call(call("Count"))
    assert server.tasks() == []


def test_a_rejection_is_raised_although_the_journal_has_gone_away(
    both: ClientKind, proxy: FaultProxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    rejection = response(403, json.dumps(responses.error("permission_error", "Not with this key.")).encode())

    def plan(exchange: Exchange) -> Fault | None:
        if not exchange.path:
            return None
        (folder / "journal").unlink()
        folder.rmdir()
        return rejection

    client = both.client(proxy.open(plan=plan).base_url, journal=folder / "journal", max_retries=0)
    with pytest.raises(PermissionError, match="Not with this key"):
        both.call(client.execute_task("Count"))
    assert "journal" in caplog.text


def test_journal_is_readable_by_its_owner_only(both: ClientKind, server: ContextServer, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    before = os.umask(0)
    try:
        both.call(both.client(server.base_url, journal=journal).execute_task("Count"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    assert b"sk-proj" not in journal.read_bytes()


def test_recovery_without_a_server(both: ClientKind, server: ContextServer, proxy: FaultProxy, tmp_path: Path) -> None:
    """The entry is kept: the next recovery finds the task."""
    journal = tmp_path / "journal"

    def plan(exchange: Exchange) -> Stall | None:
        return Stall(0) if exchange.path else None

    both.call(both.client(server.base_url, journal=journal).submit_task("Count", context=QUICK)).detach()
    client = both.client(proxy.open(server.address, plan).base_url, journal=journal, timeout=0.3, max_retries=0)
    with in_time(3), pytest.raises((APIConnectionError, TimeoutError)):
        both.call(client.recover())
    assert recover(both.kind, server.base_url, journal) == ["Done: Count"]
    assert server.engine.runs == {"Count": 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", [Refuse(30), CutRequest(0, "rst"), error_response(503, "0"), error_response(429), response(401)], ids=repr
)
def test_refused_recovery_keeps_the_entries(
    both: ClientKind, server: ContextServer, proxy: FaultProxy, tmp_path: Path, fault: Fault
) -> None:
    """The task runs although the server refuses this time."""
    journal = tmp_path / "journal"
    cut = proxy.open(server.address, lambda exchange: Stall(0) if exchange.path else None)
    task = {"description": "Count", "context": QUICK}
    with client_process(both.kind, cut.base_url, "execute_task", task, journal=str(journal)) as worker:
        cut.wait_until_reached(Stall)
        worker.kill()
    early = isinstance(fault, StartFault)
    refusing = proxy.open(server.address, lambda exchange: fault if early or exchange.path else None)
    client = both.client(refusing.base_url, journal=journal, timeout=5, max_retries=1)
    with pytest.raises(ClaudeAPIError):
        both.call(client.recover())
    assert recover(both.kind, server.base_url, journal) == ["Done: Count"]
    assert server.engine.runs == {"Count": 1}


def test_recovered_task_can_be_cancelled(both: ClientKind, server: ContextServer, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    hold = {"hold": True, "cost": 0.25}
    both.call(both.client(server.base_url, journal=journal).submit_task("Wait", context=hold)).detach()
    [handle] = both.call(both.client(server.base_url, journal=journal).recover())
    assert both.call(handle.cancel()).usage.cost == 0.25
    assert recover(both.kind, server.base_url, journal) == []
    assert server.tasks_by_status() == {"cancelled": 1}
