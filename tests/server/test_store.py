"""The store: persistence, pages, idempotency keys and usage."""

import sqlite3
from pathlib import Path

import attrs
import pytest

from claude_code_server.domain.entities import Artifact, ArtifactFile, Task, TaskError, TaskEvent
from claude_code_server.domain.idempotency import IdempotencyKey, PaidCompletion, StoredResponse
from claude_code_server.domain.usage import ModelUsage, Usage
from claude_code_server.storage.store import Store, StoreError

AT = "2026-11-22T12:00:00.000Z"
LATER = "2026-11-22T12:00:01.000Z"


def task(id: str = "task_1", owner: str = "k") -> Task:
    return Task(id=id, owner=owner, description="é", model="m", working_directory="/w", created_at=AT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_tasks_and_events_are_persistent(folder: Path) -> None:
    new = task()
    ended = attrs.evolve(
        new,
        status="cost_exceeded",
        completed_at=LATER,
        summary="s",
        result={"summary": "s", "n": [1, None]},
        artifacts=(Artifact("art_1", ArtifactFile("a/b.md", 3, "ff", AT, "text")),),
        usage=Usage(10, 5, 0.25),
        error=TaskError("cost_exceeded_error", "too much", 0.25),
    )
    events = [TaskEvent(1, "thinking", AT, {"content": "half of a pair: \ud83d"}), TaskEvent(2, "error", LATER)]
    with Store(folder) as store:
        store.add_task(new)
        store.add_events(new.id, events[:1])
        assert store.get_task(new.id) == new
        store.set_usage(new.id, Usage(1, 2, 0.125))
        assert store.get_task(new.id) == attrs.evolve(new, usage=Usage(1, 2, 0.125))
        store.end_task(ended, events[1])
    with Store(folder) as store:
        assert store.get_task(new.id) == ended
        assert store.get_task(new.id, "k") == ended
        assert store.get_task(new.id, "another") is None
        assert store.list_events(new.id) == events
        assert store.list_events(new.id, after=1) == events[1:]
        assert store.list_events(new.id, limit=1) == events[:1]
        assert store.list_events(new.id, max_characters=len('{"content": "half of a pair: \\ud83d"}')) == events[:1]
        assert store.list_events(new.id, max_characters=1) == events[:1]
        assert store.list_events(new.id, max_characters=100) == events
        assert store.last_seq(new.id) == 2
        assert store.last_seq("task_none") == 0
        assert store.usage_by_model("k", AT) == [ModelUsage("m", 1, Usage(10, 5, 0.25))]


def test_sequence_numbers_are_unique(folder: Path) -> None:
    with Store(folder) as store:
        store.add_events("task_1", [TaskEvent(1, "thinking", AT)])
        with pytest.raises(sqlite3.IntegrityError):
            store.add_events("task_1", [TaskEvent(1, "thinking", AT)])
        assert store.last_seq("task_1") == 1


def test_ending_a_task_is_atomic(folder: Path) -> None:
    with Store(folder) as store:
        store.add_task(task())
        store.add_events("task_1", [TaskEvent(1, "thinking", AT)])
        with pytest.raises(sqlite3.IntegrityError):
            store.end_task(attrs.evolve(task(), status="completed", completed_at=LATER), TaskEvent(1, "result", AT))
        assert [unfinished.id for unfinished in store.unfinished_tasks()] == ["task_1"]
        assert store.usage_by_model("k", AT) == []


def test_a_deferred_end_is_visible_before_it_is_stored(folder: Path) -> None:
    ended = attrs.evolve(task(), status="failed", completed_at=LATER, usage=Usage(1, 2, 0.5))
    with Store(folder) as store:
        store.add_task(task())
        store.add_events("task_1", [TaskEvent(1, "thinking", AT)])
        store._db.execute("PRAGMA query_only = ON")
        with pytest.raises(sqlite3.OperationalError):
            store.end_task(ended, TaskEvent(2, "error", LATER))
        store.defer_end(ended, TaskEvent(2, "error", LATER))
        assert [unfinished.id for unfinished in store.unfinished_tasks()] == ["task_1"]
        assert store.get_task("task_1") == store.get_task("task_1", "k") == ended
        assert store.get_task("task_1", "another") is None
        assert store.list_tasks("k", 9) == ([ended], None)
        assert [event.seq for event in store.list_events("task_1")] == [1, 2]
        assert [event.seq for event in store.list_events("task_1", limit=1)] == [1]
        assert [event.seq for event in store.list_events("task_1", after=1)] == [2]
        assert store.list_events("task_1", after=2) == []
        assert store.last_seq("task_1") == 2
        store._db.execute("PRAGMA query_only = OFF")
    with Store(folder) as store:
        assert store.unfinished_tasks() == []
        assert store.get_task("task_1") == ended
        assert [event.seq for event in store.list_events("task_1")] == [1, 2]
        assert store.usage_by_model("k", AT) == [ModelUsage("m", 1, Usage(1, 2, 0.5))]


def test_transactions_are_durable(folder: Path) -> None:
    with Store(folder) as store:
        assert store._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert store._db.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_pages_list_the_tasks_of_one_key_newest_first(folder: Path) -> None:
    with Store(folder) as store:
        for number in range(5):
            store.add_task(task(f"task_{number}"))
        store.add_task(task("task_foreign", owner="other"))
        store.start_task("task_3")

        seen, before = [], None
        for _ in range(3):
            page, before = store.list_tasks("k", 2, before=before)
            seen.append([one.id for one in page])
        assert seen == [["task_4", "task_3"], ["task_2", "task_1"], ["task_0"]]
        assert before is None
        assert [one.id for one in store.list_tasks("k", 9, status="running")[0]] == ["task_3"]
        assert len(store.unfinished_tasks()) == 6


def test_responses_are_stored_by_key_scope_and_value(folder: Path) -> None:
    key = IdempotencyKey("k", "task", "n", "print")
    with Store(folder) as store:
        assert store.find_response(key) is None
        store.add_task(task(), key)
        completion_key = attrs.evolve(key, scope="completion")
        store.save_completion(PaidCompletion("k", AT, "a", Usage(), completion_key, "reply"))
        assert store.find_response(attrs.evolve(key, fingerprint="another")) == StoredResponse("print", "task_1")
        assert store.find_response(attrs.evolve(key, owner="other")) is None
        assert store.find_response(attrs.evolve(key, value="m")) is None
        assert store.find_response(attrs.evolve(key, scope="completion"), since=AT) == StoredResponse("print", "reply")
        assert store.find_response(attrs.evolve(key, scope="completion"), since=LATER) is None
        assert store.retention.delete_responses("completion", before=LATER)
        assert store.find_response(attrs.evolve(key, scope="completion")) is None
        assert store.find_response(key) is not None


def test_usage_is_summed_by_model_since_a_time(folder: Path) -> None:
    with Store(folder) as store:
        store.save_completion(PaidCompletion("k", AT, "a", Usage(1, 2, 0.5)))
        store.save_completion(PaidCompletion("k", LATER, "a", Usage(10, 20, 0.25)))
        store.save_completion(PaidCompletion("k", LATER, "b", Usage(100, 0, 0.0)))
        store.save_completion(PaidCompletion("other", LATER, "a", Usage(7, 7, 7.0)))
        assert store.usage_by_model("k", AT) == [
            ModelUsage("a", 2, Usage(11, 22, 0.75)),
            ModelUsage("b", 1, Usage(100, 0, 0.0)),
        ]
        assert store.usage_by_model("k", LATER) == [
            ModelUsage("a", 1, Usage(10, 20, 0.25)),
            ModelUsage("b", 1, Usage(100, 0, 0.0)),
        ]


def test_a_state_directory_belongs_to_one_server_at_a_time(folder: Path) -> None:
    with Store(folder), pytest.raises(StoreError, match="another server uses the state directory"):
        Store(folder)
    Store(folder).close()


def test_an_unusable_state_directory_is_rejected_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StoreError, match=r"^cannot use the state directory .*file"):
        Store(file)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "state.sqlite3").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreError, match=r"^cannot use the state directory .*damaged"):
        Store(damaged)


def test_unfinished_tasks_are_found_by_their_index(folder: Path) -> None:
    with Store(folder) as store:
        statements: list[str] = []
        store._db.set_trace_callback(statements.append)
        assert store.unfinished_tasks() == []
        [plan] = store._db.execute(f"EXPLAIN QUERY PLAN {statements[0]}").fetchall()
    assert "tasks_unfinished" in plan["detail"]


def test_what_is_old_is_found_by_an_index(folder: Path) -> None:
    with Store(folder) as store:
        store.add_task(task())
        store.end_task(attrs.evolve(task(), status="completed", completed_at=AT), TaskEvent(1, "result", AT))
        statements: list[str] = []
        store._db.set_trace_callback(statements.append)
        assert not store.retention.delete_responses("completion", before=LATER)
        assert store.retention.delete_tasks(before=LATER)
        assert store.retention.delete_events()
        assert store.retention.delete_usage(before=LATER)
        assert store.retention.delete_audit(before=LATER)
        store._db.set_trace_callback(None)
        made = [one for one in statements if one.startswith(("SELECT", "DELETE"))]
        assert len(made) >= 7
        for statement in made:
            plan = " ".join(row["detail"] for row in store._db.execute(f"EXPLAIN QUERY PLAN {statement}"))
            # The list of tasks to delete is short.
            assert "SCAN" not in plan or "pruned_tasks" in plan, (statement, plan)


def test_lists_by_status_are_read_by_their_index(folder: Path) -> None:
    with Store(folder) as store:
        statements: list[str] = []
        with store._pool.connection() as connection:
            connection.set_trace_callback(statements.append)
        for status, index in ((None, "tasks_by_key"), ("running", "tasks_by_status")):
            store.list_tasks("k", 9, status=status)
            [plan] = store._db.execute(f"EXPLAIN QUERY PLAN {statements.pop()}").fetchall()
            assert index in plan["detail"]
            assert "n<?" in plan["detail"]


def test_a_completion_that_costs_nothing_needs_no_reservation(folder: Path) -> None:
    with Store(folder) as store:
        statements: list[str] = []
        store._db.set_trace_callback(statements.append)
        assert store.reserve("k", AT, "m", Usage(10, 20, 0.0)) is None
        assert statements == []
        assert store.reserve("k", AT, "m", Usage(10, 20, 0.5)) == 1
        assert "COMMIT" in statements


def test_what_cannot_be_read_is_left_out_with_a_warning(folder: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    with Store(folder) as store:
        store.add_task(task())
        store.add_events("task_1", [TaskEvent(1, "thinking", AT, {"content": "a"})])
        store._db.execute("UPDATE tasks SET result = ?, artifacts = '{', failure = '[]', cost = 9e999", (deep,))
        store._db.execute("UPDATE events SET fields = ?", (deep,))
        store._db.commit()
        [read], _ = store.list_tasks("k", 10)
        [event] = store.list_events("task_1")
    assert (read.result, read.artifacts, read.error, read.usage.cost) == ({}, (), None, 0.0)
    assert [warning.rpartition(": ")[2] for warning in read.warnings] == ["failure.", "result.", "artifacts."]
    assert "cannot read" in event.fields["content"]


def test_the_state_directory_is_private(folder: Path) -> None:
    with Store(folder):
        assert folder.stat().st_mode & 0o077 == 0
