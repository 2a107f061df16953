"""Databases of earlier versions, created by their own SQL: migrated with all that they hold. Later ones are refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from claude_code_server.domain.entities import Task, TaskEvent
from claude_code_server.domain.idempotency import IdempotencyKey
from claude_code_server.domain.usage import Usage
from claude_code_server.storage.audit import read_audit
from claude_code_server.storage.schema import VERSION
from claude_code_server.storage.store import Store, StoreError

SCHEMAS = Path(__file__).with_name("state_versions")
AT, LATER = "2026-09-21T10:00:00.000Z", "2026-09-21T11:00:00.000Z"
KEY = IdempotencyKey("key", "task", "name", "fingerprint")
CONTENT = f"""
INSERT INTO tasks (id, key, status, description, model, working_directory, created_at, completed_at, summary, result,
    artifacts, input_tokens, output_tokens, cost, failure) VALUES
    ('task_1', 'key', 'completed', 'a', 'm', '/w', '{AT}', '{LATER}', 's', '{{"a": 1}}', '[]', 1, 2, 0.5, NULL),
    ('task_2', 'key', 'running', 'b', 'm', '/w', '{AT}', NULL, '', 'null', '[]', 3, 4, 0.25, NULL);
INSERT INTO events VALUES ('task_1', 1, 'result', '{LATER}', '{{}}');
INSERT INTO idempotency VALUES ('key', 'task', 'name', 'fingerprint', 'task_1', '{AT}');
INSERT INTO usage (key, at, model, input_tokens, output_tokens, cost) VALUES ('key', '{AT}', 'm', 1, 2, 0.5);
"""
RESERVATION = f"INSERT INTO reservations VALUES (1, 'key', '{AT}', 'm', 10, 20, 2.0);"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    state = tmp_path / "state"
    state.mkdir()
    return state


def create(folder: Path, version: int) -> None:
    """Create the database of an earlier version."""
    with closing(sqlite3.connect(folder / "state.sqlite3")) as db:
        db.executescript((SCHEMAS / f"version_{version}.sql").read_text())
        db.executescript(CONTENT + (RESERVATION if version > 2 else ""))


def structure(folder: Path) -> list[tuple[str, ...]]:
    """Return the tables with their columns and defaults, and the indexes."""
    with closing(sqlite3.connect(folder / "state.sqlite3")) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        columns = [
            (table, *sorted(str(column[1:]) for column in db.execute(f"PRAGMA table_info({table})")))
            for table in tables
        ]
        indexes = db.execute("SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY name").fetchall()
    return [*columns, *indexes]


def test_there_is_a_file_of_every_earlier_version() -> None:
    assert {file.name for file in SCHEMAS.iterdir()} == {f"version_{number}.sql" for number in range(1, VERSION)}


@pytest.mark.parametrize("version", range(1, VERSION))
def test_an_earlier_version_is_migrated_with_all_that_it_holds(folder: Path, version: int) -> None:
    create(folder, version)
    with Store(folder) as store:
        task = store.get_task("task_1")
        assert task is not None
        assert (task.status, task.result, task.usage, task.warnings) == ("completed", {"a": 1}, Usage(1, 2, 0.5), ())
        assert store.list_events("task_1") == [TaskEvent(1, "result", LATER)]
        stored = store.find_response(KEY)
        assert stored is not None
        assert stored.value == "task_1"
        assert [task.id for task in store.unfinished_tasks()] == ["task_2"]
        store.charge_reservations()
        [usage] = store.usage_by_model("key", AT)
        assert usage.usage.cost == (2.5 if version > 2 else 0.5)
        new = Task(
            id="task_3", owner="key", description="c", model="m", working_directory="/w", created_at=LATER
        )  # fmt: skip
        store.add_task(new)
        store.end_task(attrs.evolve(new, status="completed", completed_at=LATER), TaskEvent(1, "result", LATER))
    assert [entry.task_id for entry in read_audit(folder) if entry.kind == "task"] == ["task_3"]
    Store(folder).close()


@pytest.mark.parametrize("version", range(1, VERSION))
def test_a_migrated_database_has_the_structure_of_a_new_one(folder: Path, version: int, tmp_path: Path) -> None:
    create(folder, version)
    Store(folder).close()
    Store(tmp_path / "new").close()
    assert structure(folder) == structure(tmp_path / "new")


def test_a_migration_that_fails_changes_nothing(folder: Path) -> None:
    create(folder, VERSION - 1)
    with closing(sqlite3.connect(folder / "state.sqlite3")) as db:
        db.execute("CREATE INDEX audit_by_time ON usage (at)")  # takes a name that the migration needs
    with pytest.raises(StoreError, match="audit_by_time"):
        Store(folder)
    with closing(sqlite3.connect(folder / "state.sqlite3")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION - 1,)
        db.execute("DROP INDEX audit_by_time")
    Store(folder).close()


def test_a_later_version_is_refused_and_left_as_it_is(folder: Path) -> None:
    Store(folder).close()
    file = folder / "state.sqlite3"
    with closing(sqlite3.connect(file)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = file.read_bytes()
    message = (
        rf"later version of the server wrote it \(version {VERSION + 1} of the state, this server knows {VERSION}\)"
    )
    with pytest.raises(StoreError, match=message):
        Store(folder)
    assert file.read_bytes() == before
