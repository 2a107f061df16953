"""The task runner: order, cancellation and ends of tasks, observed through the store."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from support.servers.scripted_engine import DONE, Gate, ScriptedEngine, Step, calls, says

from claude_code_server.domain.engine_protocol import Outcome, TaskSpec
from claude_code_server.domain.entities import ArtifactFile, Task
from claude_code_server.domain.errors import ApiError
from claude_code_server.domain.timestamps import now
from claude_code_server.domain.usage import Usage
from claude_code_server.services.task_queue import QueueLimits, TaskQueue
from claude_code_server.services.task_runner import TaskRunner
from claude_code_server.storage.store import Store


class Bench:
    """A runner with a scripted engine and its own store."""

    def __init__(self, folder: Path, *steps: Step, max_concurrency: int = 4, cancel_grace: float = 5.0) -> None:
        self.folder = folder
        self.engine = ScriptedEngine(*steps)
        self.store = Store(folder)
        limits = QueueLimits(max_running=max_concurrency, max_queued=100, max_queued_per_key=100)
        self.runner = TaskRunner(self.engine, self.store, TaskQueue(limits), cancel_grace=cancel_grace)
        self._count = 0

    def submit(self, timeout: float = 60.0) -> str:
        self._count += 1
        spec = TaskSpec(f"task_{self._count}", "d", self.folder, "m", timeout=timeout)
        self.runner.submit(Task(spec.task_id, "k", "d", "m", str(self.folder), now()), spec)
        return spec.task_id

    def task(self, task_id: str) -> Task:
        task = self.store.get_task(task_id)
        assert task is not None
        return task

    def types(self, task_id: str) -> list[str]:
        events = self.store.list_events(task_id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [event.terminal for event in events[:-1]] == [False] * (len(events) - 1)
        return [event.type for event in events]


def run(bench: Bench, test: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        try:
            await test(bench)
        finally:
            await bench.runner.aclose(1)
            bench.store.close()

    asyncio.run(main())


def test_events_are_numbered_in_order_and_end_with_the_terminal_event(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        task_id = bench.submit()
        assert await bench.runner.wait(task_id)
        assert bench.types(task_id) == ["thinking", "tool_call", "thinking", "result"]
        ended = bench.task(task_id)
        assert (ended.status, ended.summary, ended.result["answer"]) == ("completed", "Done.", 42)
        assert ended.created_at <= bench.store.list_events(task_id)[0].timestamp <= (ended.completed_at or "")

    run(Bench(tmp_path, says("a"), calls("Bash", command="ls"), says("b"), DONE), test)


def test_an_event_is_stored_before_followers_are_notified(tmp_path: Path) -> None:
    gate = Gate()

    async def test(bench: Bench) -> None:
        task_id = bench.submit()
        assert await bench.runner.wait_for_event(task_id, 0, 15)
        assert bench.types(task_id) == ["thinking"]
        assert not await bench.runner.wait_for_event(task_id, 1, 0.01)
        followers = [asyncio.create_task(bench.runner.wait_for_event(task_id, 1, 15)) for _ in range(50)]
        gate.open()
        assert all(await asyncio.gather(*followers))
        assert bench.types(task_id) == ["thinking", "thinking", "result"] or bench.types(task_id) == ["thinking"] * 2
        assert await bench.runner.wait(task_id)
        assert bench.types(task_id) == ["thinking", "thinking", "result"]
        assert await bench.runner.wait_for_event(task_id, 3, 15)

    run(Bench(tmp_path, says("a"), gate, says("b")), test)


def test_events_at_once_are_stored_in_one_transaction_and_heard_of_after_it(tmp_path: Path) -> None:
    gate = Gate()
    at_once = 50

    async def test(bench: Bench) -> None:
        commits: list[int] = []
        task_id = bench.submit()
        await asyncio.to_thread(gate.reached.wait, 15)
        bench.store._db.set_trace_callback(
            lambda sql: commits.append(bench.runner._active[task_id].seq) if sql == "COMMIT" else None
        )
        follower = asyncio.create_task(bench.runner.wait_for_event(task_id, 0, 15))
        gate.open()
        assert await follower
        assert bench.types(task_id)[:at_once] == ["thinking"] * at_once
        bench.store._db.set_trace_callback(None)
        # Nobody could hear of an event while its transaction was still to come.
        assert commits[0] == 0
        assert len(commits) <= 2
        assert await bench.runner.wait(task_id)
        assert bench.types(task_id) == ["thinking"] * at_once + ["result"]

    run(Bench(tmp_path, gate, *[says("a")] * at_once), test)


@pytest.mark.parametrize("most", [1, 2])
def test_tasks_beyond_the_limit_stay_pending_in_order(tmp_path: Path, most: int) -> None:
    gate = Gate()

    async def test(bench: Bench) -> None:
        ids = [bench.submit() for _ in range(5)]
        await asyncio.to_thread(gate.reached.wait, 15)
        assert [bench.task(one).status for one in ids] == ["running"] * most + ["pending"] * (5 - most)
        assert not await bench.runner.wait(ids[0], 0)
        gate.open()
        assert all([await bench.runner.wait(one) for one in ids])
        assert bench.engine.most_at_once == most
        # Of two that start at once, either may be the first to reach the engine.
        order = [spec.task_id for spec in bench.engine.specs]
        assert (order if most == 1 else sorted(order)) == ids

    run(Bench(tmp_path, gate, max_concurrency=most), test)


def test_time_as_pending_does_not_count_towards_the_timeout(tmp_path: Path) -> None:
    gate = Gate()

    async def test(bench: Bench) -> None:
        first, second = bench.submit(), bench.submit(timeout=0.2)
        assert not await bench.runner.wait(second, 0.3)
        assert bench.task(second).status == "pending"
        gate.open()
        assert await bench.runner.wait(second)
        assert [bench.task(one).status for one in (first, second)] == ["completed", "completed"]

    run(Bench(tmp_path, gate, max_concurrency=1), test)


def test_a_timeout_ends_the_task_with_an_error_event(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        task_id = bench.submit(timeout=0.05)
        assert await bench.runner.wait(task_id, 15)
        assert bench.types(task_id) == ["thinking", "error"]
        ended = bench.task(task_id)
        assert ended.status == "timeout"
        assert ended.error is not None
        assert ended.error.type == "timeout_error"

    run(Bench(tmp_path, says("a"), Gate()), test)


def test_a_cancelled_task_ends_with_a_result_event_and_cancelling_is_idempotent(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        task_id = bench.submit()
        assert await bench.runner.wait_for_event(task_id, 0, 15)
        bench.runner.cancel(task_id)
        bench.runner.cancel(task_id)
        assert await bench.runner.wait(task_id, 15)
        bench.runner.cancel(task_id)
        assert bench.types(task_id) == ["thinking", "result"]
        ended = bench.task(task_id)
        assert ended.status == "cancelled"
        assert ended.error is not None
        assert ended.error.type == "cancelled_error"

    run(Bench(tmp_path, says("a"), Gate()), test)


def test_a_cancelled_pending_task_never_runs(tmp_path: Path) -> None:
    gate = Gate()

    async def test(bench: Bench) -> None:
        first, second, third = bench.submit(), bench.submit(), bench.submit()
        bench.runner.cancel(second)
        assert await bench.runner.wait(second, 0)
        assert bench.types(second) == ["result"]
        gate.open()
        assert await bench.runner.wait(third, 15)
        assert [spec.task_id for spec in bench.engine.specs] == [first, third]

    run(Bench(tmp_path, gate, max_concurrency=1), test)


def test_a_run_that_ignores_its_cancellation_is_aborted(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        task_id = bench.submit(timeout=0.05)
        assert await bench.runner.wait(task_id, 15)
        assert bench.task(task_id).status == "timeout"
        assert bench.types(task_id) == ["error"]
        assert bench.engine.at_once == 0

    run(Bench(tmp_path, Gate(cancellable=False), cancel_grace=0.05), test)


def test_an_engine_that_raises_fails_the_task_without_leaking_the_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(bench: Bench) -> None:
        task_id = bench.submit()
        assert await bench.runner.wait(task_id, 15)
        assert bench.types(task_id) == ["thinking", "error"]
        ended = bench.task(task_id)
        assert ended.status == "failed"
        assert ended.error is not None
        assert ended.error.type == "server_error"
        assert "secret" not in ended.error.message

    with caplog.at_level(logging.DEBUG):
        run(Bench(tmp_path, says("a"), RuntimeError("a secret")), test)
    assert "RuntimeError" in caplog.text
    assert "scripted_engine.py" in caplog.text
    assert "secret" not in caplog.text


def test_a_failure_ends_with_a_result_event_and_an_exceeded_budget_with_an_error_event(tmp_path: Path) -> None:
    failed = Outcome("failed", error=("overloaded_error", "busy"), usage=Usage(1, 2, 0.5))
    spent = Outcome("cost_exceeded", usage=Usage(1, 2, 0.5))

    for outcome, types, cost in ((failed, ["result"], None), (spent, ["error"], 0.5)):

        async def test(bench: Bench, types: list[str] = types, cost: float | None = cost) -> None:
            task_id = bench.submit()
            assert await bench.runner.wait(task_id, 15)
            assert bench.types(task_id) == types
            error = bench.task(task_id).error
            assert error is not None
            assert error.estimated_cost == cost
            assert [row.usage.cost for row in bench.store.usage_by_model("k", "")] == [0.5]

        run(Bench(tmp_path / outcome.status, outcome), test)


def test_every_artifact_has_its_own_id(tmp_path: Path) -> None:
    found = tuple(ArtifactFile(name, 1, "ff", now()) for name in ("a", "b"))

    async def test(bench: Bench) -> None:
        task_id = bench.submit()
        assert await bench.runner.wait(task_id, 15)
        artifacts = bench.task(task_id).artifacts
        assert [artifact.file for artifact in artifacts] == list(found)
        assert len({artifact.id for artifact in artifacts}) == 2

    run(Bench(tmp_path, Outcome("completed", artifacts=found)), test)


def test_closing_ends_all_tasks_and_rejects_new_ones(tmp_path: Path) -> None:
    async def test(bench: Bench) -> None:
        ids = [bench.submit() for _ in range(3)]
        await asyncio.to_thread(bench_gate.reached.wait, 15)
        await bench.runner.aclose(0.05)
        assert [bench.task(one).status for one in ids] == ["cancelled"] * 3
        assert [bench.types(one)[-1] for one in ids] == ["result"] * 3
        assert await bench.runner.wait(ids[0], 0)
        with pytest.raises(ApiError, match="shutting down"):
            bench.submit()

    bench_gate = Gate(cancellable=False)
    run(Bench(tmp_path, bench_gate, max_concurrency=2), test)


def test_unfinished_tasks_of_a_dead_server_end_as_failed(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for task_id in ("task_running", "task_pending"):
            store.add_task(Task(task_id, "k", "d", "m", str(tmp_path), now()))
        store.start_task("task_running")
        store.set_usage("task_running", Usage(100, 20, 0.25), reserved=0.25)
        store._db.execute("INSERT INTO events VALUES ('task_running', 1, 'thinking', '', '{\"content\": \"a\"}')")
        store._db.commit()

    async def test(bench: Bench) -> None:
        bench.runner.recover()
        assert bench.types("task_running") == ["thinking", "error"]
        assert bench.types("task_pending") == ["error"]
        for task_id in ("task_running", "task_pending"):
            ended = bench.task(task_id)
            assert ended.status == "failed"
            assert ended.error is not None
            assert ended.error.type == "server_error"
        assert bench.task("task_running").usage == Usage(100, 20, 0.5)
        assert bench.task("task_pending").usage == Usage()
        bench.runner.recover()
        assert bench.types("task_pending") == ["error"]
        assert [(row.requests, row.usage) for row in bench.store.usage_by_model("k", "")] == [(2, Usage(100, 20, 0.5))]

    run(Bench(tmp_path), test)


@pytest.mark.parametrize(
    ("end", "status", "spent"),
    [
        (DONE, "completed", Usage(20, 4, 0.5)),
        (Outcome("completed", usage=Usage(30, 6, 0.75)), "completed", Usage(30, 6, 0.75)),
        (RuntimeError("a fault"), "failed", Usage(20, 4, 0.5)),
        (Gate(cancellable=False), "cancelled", Usage(20, 4, 0.5)),
    ],
)
def test_usage_is_stored_while_the_task_runs(tmp_path: Path, end: Step, status: str, spent: Usage) -> None:
    gate = Gate()

    async def test(bench: Bench) -> None:
        task_id = bench.submit()
        await asyncio.to_thread(gate.reached.wait, 15)
        assert (bench.task(task_id).status, bench.task(task_id).usage) == ("running", Usage(20, 4, 0.5))
        gate.open()
        if isinstance(end, Gate):
            await asyncio.to_thread(end.reached.wait, 15)
            bench.runner.cancel(task_id)
        assert await bench.runner.wait(task_id, 15)
        assert (bench.task(task_id).status, bench.task(task_id).usage) == (status, spent)
        assert [row.usage for row in bench.store.usage_by_model("k", "")] == [spent]

    run(Bench(tmp_path, Usage(10, 2, 0.25), Usage(20, 4, 0.5), gate, end, cancel_grace=0.05), test)
