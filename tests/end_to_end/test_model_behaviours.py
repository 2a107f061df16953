"""Campaign of random model behaviours in one server: no task is lost, unreadable, unpaid or left running."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest
from support.clients.client_kinds import KEY
from support.model_behaviours import BehavingModel, Behaviour, behaviours, short_behaviours
from support.processes import eventually, processes_of
from support.servers.messages_endpoint import ScriptedMessages, message
from support.servers.server_process import ServerProcess, server_process

from claude_code_client import ClaudeClient
from claude_code_client.errors import ClaudeAPIError
from claude_code_client.models import TERMINAL_STATUSES, AgenticTaskResponse

MB = 1_000_000
MAX_GROWTH = 50 * MB
"""Bytes of RSS."""
STOPPED = ("timeout", "cancelled", "cost_exceeded")
CONCURRENCY = 4
"""The server runs as many tasks at the same time."""


@attrs.frozen
class Ended:
    """Task of one behaviour."""

    behaviour: Behaviour
    task_id: str
    error: ClaudeAPIError | None

    def __str__(self) -> str:
        return f"behaviour {self.behaviour.number} ({self.behaviour.name}), {self.task_id}"


@pytest.mark.parametrize(
    "planned",
    [short_behaviours("short"), pytest.param(behaviours(500, "long"), marks=pytest.mark.long)],
    ids=["short", "long"],
)
@pytest.mark.timeout(3600)
def test_random_model_behaviours(tmp_path: Path, planned: list[Behaviour]) -> None:
    model = BehavingModel({one.number: one for one in planned})
    with (
        ScriptedMessages([message("Warm.")]) as endpoint,
        server_process(tmp_path, api_keys=[KEY], upstream=endpoint.url) as server,
        ClaudeClient(api_key=KEY, base_url=server.base_url) as client,
    ):
        warm = client.execute_task("Warm up")
        assert warm.status == "completed"
        endpoint.reply = model
        before = server.process.memory_info().rss
        started = time.monotonic()
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            ended = list(pool.map(lambda one: _run(server, client, one), planned))
        problems = [problem for one in ended for problem in _unreadable(client, one)]
        problems += _unlisted(client, ended)
        problems += _unfinished(client, ended)
        tasks = {one.behaviour.number: client.get_task(one.task_id) for one in ended if _readable(client, one)}
        problems += _unpaid(model, ended, tasks)
        problems += _uncounted(client, [warm, *tasks.values()])
        statuses = Counter(task.status for task in tasks.values())
        eventually(lambda: not _left(server, tmp_path))
        growth = server.process.memory_info().rss - before
        print(f"{len(planned)} behaviours in {time.monotonic() - started:.0f} s: {dict(statuses)}")
        print(f"  {sum(model.calls.values())} model calls; RSS grew by {growth / MB:.0f} MB")
        print(f"  ended with: {dict(Counter(type(one.error).__name__ for one in ended))}")
        if growth > MAX_GROWTH:
            problems.append(f"RSS grew by {growth / MB:.0f} MB")
        if "failed:" in server.errors() or "Traceback" in server.errors():
            problems.append(f"the server's log has errors: {server.errors()[-2000:]}")
        assert server.stop() == 0
    assert not problems, "\n".join(problems)


def _run(server: ServerProcess, client: ClaudeClient, behaviour: Behaviour) -> Ended:
    folder = server.workspace / f"folder-{behaviour.number}"
    folder.mkdir()
    (folder / "notes.txt").write_text("Some notes.\n")
    with client.submit_task(
        f"main-{behaviour.number}- Work.", working_directory=folder.name, **behaviour.arguments
    ) as handle:
        try:
            if behaviour.number % 2:
                list(handle.events())
            else:
                handle.wait()
        except ClaudeAPIError as error:
            return Ended(behaviour, handle.id, error)
        return Ended(behaviour, handle.id, None)


def _unreadable(client: ClaudeClient, ended: Ended) -> list[str]:
    """Return how operations fail on a task that has ended."""
    problems = []
    try:
        task = client.get_task(ended.task_id)
        if task.status not in TERMINAL_STATUSES:
            problems.append(f"{ended}: {task.status}")
        if ended.behaviour.benign and task.status != "completed":
            problems.append(f"{ended}: {task.status}, {ended.error!r}")
        problems += [
            f"{ended}: artifact {artifact.path} of {artifact.size_bytes} bytes"
            for artifact in task.artifacts
            if len(artifact.read_bytes()) != artifact.size_bytes
        ]
    except ClaudeAPIError as error:
        problems.append(f"{ended}: get_task or an artifact: {error!r}")
    try:
        events = list(client.stream_events(ended.task_id))
        if events[-1]["type"] not in ("result", "error"):
            problems.append(f"{ended}: its last event is {events[-1]}")
    except ClaudeAPIError as error:
        if error.task_id != ended.task_id or type(error) is not type(ended.error):
            problems.append(f"{ended}: stream_events: {error!r}, after {ended.error!r}")
    try:
        assert client.cancel_task(ended.task_id).status in TERMINAL_STATUSES
    except ClaudeAPIError as error:
        problems.append(f"{ended}: cancel_task: {error!r}")
    return problems


def _readable(client: ClaudeClient, ended: Ended) -> bool:
    try:
        client.get_task(ended.task_id)
    except ClaudeAPIError:
        return False
    return True


def _unlisted(client: ClaudeClient, ended: list[Ended]) -> list[str]:
    try:
        listed = {task.id for task in client.list_tasks(page_size=20)}
    except ClaudeAPIError as error:
        return [f"list_tasks: {error!r}"]
    return [f"{one}: not listed" for one in ended if one.task_id not in listed]


def _unfinished(client: ClaudeClient, ended: list[Ended]) -> list[str]:
    try:
        return [f"{task.id}: {status}" for status in ("pending", "running") for task in client.list_tasks(status)]
    except ClaudeAPIError as error:
        return [f"list_tasks: {error!r}"]


def _unpaid(model: BehavingModel, ended: list[Ended], tasks: dict[int, AgenticTaskResponse]) -> list[str]:
    """Return where the usage of tasks differs from the upstream's bill.

    The rule: no task has less usage than its bill. It has exactly its bill if it read all its replies to their ends
    and they reported their usage. A reply that did not adds at most what its request allowed. Of a task that was
    stopped, by its timeout, its limit or its caller, any reply may have been left before its end, however complete it
    was sent, and one more request, which the task has paid for, may not have reached the upstream.
    """
    problems = []
    for one in ended:
        bill, task = model.bills.get(one.behaviour.number), tasks.get(one.behaviour.number)
        if bill is None or task is None:
            continue
        usage = Counter(input=task.usage.input_tokens, output=task.usage.output_tokens)
        most = bill.charged + bill.reserved + bill.largest if task.status in STOPPED else bill.most
        if not bill.charged <= usage <= most:
            problems.append(f"{one}, {task.status}: usage {usage}, bill {bill}")
    return problems


def _uncounted(client: ClaudeClient, tasks: Sequence[AgenticTaskResponse]) -> list[str]:
    """Return how the report of all usage differs from the sum of the tasks."""
    report = client.get_usage("month").usage
    inputs, outputs = (sum(getattr(task.usage, name) for task in tasks) for name in ("input_tokens", "output_tokens"))
    same = (report.input_tokens, report.output_tokens) == (inputs, outputs)
    return [] if same else [f"usage report: {report}, but tasks: {inputs} and {outputs} tokens"]


def _left(server: ServerProcess, folder: Path) -> list[object]:
    """Return processes that the server's tasks have left behind."""
    own = server.process.pid
    return [process for process in {*server.process_tree(), *processes_of(folder)} if process.pid != own]
