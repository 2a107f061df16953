"""Retention: old tasks go with all that belongs to them, in small steps, and the file stays within its bounds."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import httpx
import pytest
from support.processes import eventually
from support.servers.embedded_server import KEY, serving
from support.servers.scripted_engine import DONE, Gate, ScriptedEngine, says

from claude_code_server.domain.api_key import hash_key
from claude_code_server.domain.entities import Task, TaskEvent
from claude_code_server.domain.idempotency import IdempotencyKey, PaidCompletion
from claude_code_server.domain.timestamps import format_time
from claude_code_server.domain.usage import Usage
from claude_code_server.services.pruner import Pruner
from claude_code_server.storage.store import Store

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TEXT = "x" * 1_000


class Clock:
    """Clock that a test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def use(store: Store, at: datetime, name: str, events: int = 5, key: str = "k") -> None:
    """Store a task that runs at a time, with an idempotency key, and a completion."""
    moment = format_time(at)
    task = Task(f"task_{name}", key, TEXT, "m", "/w", moment)
    store.add_task(task, IdempotencyKey(key, "task", name, "print"), spec="{}")
    store.start_task(task.id)
    store.add_events(task.id, [TaskEvent(seq, "thinking", moment, {"content": TEXT}) for seq in range(1, events + 1)])
    ended = attrs.evolve(task, status="completed", completed_at=moment, usage=Usage(1, 2, 0.5))
    store.end_task(ended, TaskEvent(events + 1, "result", moment))
    reply = IdempotencyKey(key, "completion", name, "print")
    store.save_completion(PaidCompletion(key, moment, "m", Usage(1, 2, 0.5), reply, TEXT))


def counts(store: Store) -> dict[str, int]:
    tables = ("tasks", "events", "idempotency", "usage", "queued_specs", "pruned_tasks", "audit")
    return {table: store._fetch_all(f"SELECT count(*) FROM {table}")[0][0] for table in tables}


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def finish(pruner: Pruner) -> float:
    """Take all steps; return the CPU time of the longest in seconds."""
    longest = 0.0
    while True:
        began = time.process_time()
        more = pruner.step()
        longest = max(longest, time.process_time() - began)
        if not more:
            return longest


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "state") as store:
        yield store


def test_old_tasks_go_with_all_that_belongs_to_them(store: Store) -> None:
    use(store, START - 3 * DAY, "old", events=450)
    use(store, START - DAY / 2, "new")
    stays = Task("task_running", "k", "d", "m", "/w", format_time(START - 9 * DAY))
    store.add_task(stays, IdempotencyKey("k", "task", "running", "print"), spec="{}")
    finish(Pruner(store.retention, 2 * DAY, Clock()))
    assert store.get_task("task_old") is None
    assert store.list_events("task_old") == []
    assert store.find_response(IdempotencyKey("k", "task", "old", "print")) is None
    for name in ("new", "running"):
        assert store.get_task(f"task_{name}") is not None
        assert store.find_response(IdempotencyKey("k", "task", name, "print")) is not None
    assert len(store.list_events("task_new")) == 6
    # Usage and audit log of two months stay.
    assert counts(store) == {
        "tasks": 2, "events": 6, "idempotency": 3, "usage": 4, "queued_specs": 1, "pruned_tasks": 0, "audit": 3
    }  # fmt: skip


def test_usage_and_audit_log_go_after_two_months(store: Store) -> None:
    use(store, START - 63 * DAY, "old")
    use(store, START - 61 * DAY, "newer")
    finish(Pruner(store.retention, DAY, Clock()))
    assert (counts(store)["usage"], counts(store)["audit"]) == (2, 1)


def test_patches_go_with_their_tasks(store: Store, tmp_path: Path) -> None:
    finish(Pruner(store.retention, DAY, Clock(), patches=tmp_path / "none"))
    for name, age in (("old", 3 * DAY), ("new", DAY / 2)):
        (tmp_path / f"task_{name}.patch").write_bytes(b"x")
        ended = (START - age).timestamp()
        os.utime(tmp_path / f"task_{name}.patch", (ended, ended))
    for keep, left in ((None, ["task_new.patch", "task_old.patch"]), (DAY, ["task_new.patch"])):
        finish(Pruner(store.retention, keep, Clock(), patches=tmp_path))
        assert sorted(path.name for path in tmp_path.glob("*.patch")) == left


def test_without_a_limit_tasks_stay_and_replies_go_after_a_day(store: Store) -> None:
    use(store, START - 900 * DAY, "old")
    use(store, START - DAY / 2, "new")
    finish(Pruner(store.retention, None, Clock()))
    assert counts(store) == {
        "tasks": 2, "events": 12, "idempotency": 3, "usage": 4, "queued_specs": 0, "pruned_tasks": 0, "audit": 2
    }  # fmt: skip


def test_a_deletion_that_was_interrupted_is_finished_by_the_next_server(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        use(store, START - 3 * DAY, "old", events=450)
        assert store.retention.delete_tasks(format_time(START))
        assert store.retention.delete_events()
        assert counts(store)["events"] == 251
    with Store(tmp_path) as store:
        finish(Pruner(store.retention, DAY, Clock()))
        assert (counts(store)["events"], counts(store)["pruned_tasks"]) == (0, 0)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("tasks_an_hour", [2, pytest.param(200, marks=pytest.mark.long)])
def test_a_day_of_use_leaves_the_store_within_its_bounds(tmp_path: Path, tasks_an_hour: int) -> None:
    clock, keep = Clock(), DAY / 2
    sizes, longest = [], 0.0
    with Store(tmp_path) as store:
        store._db.execute("PRAGMA synchronous = OFF")  # Simulated hours need no durability.
        pruner = Pruner(store.retention, keep, clock)
        for hour in range(36):
            for number in range(tasks_an_hour):
                use(store, clock.now, f"{hour}_{number}", events=30)
            clock.now += timedelta(hours=1)
            longest = max(longest, finish(pruner))
            sizes.append(size(tmp_path))
        kept = counts(store)
        store._fetch_all("PRAGMA wal_checkpoint(TRUNCATE)")
    assert kept["tasks"] <= 13 * tasks_an_hour
    assert kept["events"] == kept["tasks"] * 31
    assert kept["idempotency"] <= kept["tasks"] + 25 * tasks_an_hour
    # From the second half of the first day on the file grows no more, but for replies of a day and usage.
    print(f"sizes in MB: {[round(one / 1e6, 1) for one in sizes[::6]]}; longest step {longest * 1000:.1f} ms")
    assert sizes[35] < 1.3 * sizes[23] + 2e6
    assert longest < 0.25


@pytest.mark.slow
def test_freed_space_is_returned_in_steps(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store._db.execute("PRAGMA synchronous = OFF")
        for number in range(15):
            use(store, START - 3 * DAY, f"{number}", events=300)
        store._fetch_all("PRAGMA wal_checkpoint(TRUNCATE)")
        before = size(tmp_path)
        longest = finish(Pruner(store.retention, DAY, Clock()))
        store._fetch_all("PRAGMA wal_checkpoint(TRUNCATE)")
        print(f"{before / 1e6:.1f} → {size(tmp_path) / 1e6:.1f} MB, longest step {longest * 1000:.1f} ms")
        assert size(tmp_path) < before / 2
        assert store._fetch_all("PRAGMA integrity_check")[0][0] == "ok"


def test_a_file_of_an_earlier_version_returns_space_too(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        use(store, START, "a")
        store._db.execute("PRAGMA journal_mode = DELETE")
        store._db.execute("PRAGMA auto_vacuum = NONE")
        store._db.execute("VACUUM")
        assert store._fetch_all("PRAGMA auto_vacuum")[0][0] == 0
    with Store(tmp_path) as store:
        assert store._fetch_all("PRAGMA auto_vacuum")[0][0] == 2
        assert store._fetch_all("PRAGMA journal_mode")[0][0] == "wal"
        assert len(store.list_events("task_a")) == 6


def test_the_server_prunes_while_it_serves(tmp_path: Path) -> None:
    state = tmp_path / "state"
    old = datetime.now(UTC) - 3 * DAY
    with Store(state) as store:
        use(store, old, "old", events=1_000, key=hash_key(KEY))
    gate = Gate()
    engine = ScriptedEngine(says("a"), gate, DONE)
    with serving(tmp_path, engine, state_dir=state, keep_days=1) as server, server.client() as client:
        running = client.post("/task", json={"description": "Do it."}, headers={"Prefer": "respond-async"}).json()

        def status(task_id: str) -> httpx.codes:
            return httpx.codes(client.get(f"/task/{task_id}").status_code)

        eventually(lambda: status("task_old") == 404)
        assert client.get("/task/task_old/events").status_code == 404
        headers = {"Idempotency-Key": "old", "Prefer": "respond-async"}
        again = client.post("/task", json={"description": "Do it."}, headers=headers)
        assert again.status_code == 202
        gate.open()
        for task in (running, again.json()):
            assert client.get(f"/task/{task['id']}", headers={"Prefer": "wait=10"}).json()["status"] == "completed"


def test_a_failure_to_delete_is_logged_and_ends_nothing(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        store._db.execute("PRAGMA query_only = ON")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await Pruner(store.retention, DAY, Clock()).run()

    asyncio.run(main())
    assert "deleting what is old" in caplog.text
