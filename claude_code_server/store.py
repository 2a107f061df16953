"""What must outlive the process: tasks, events, idempotency keys and usage, in SQLite.

Everything else in the server knows only the methods of ``Store``, so that another database can take its place.
"""

import contextlib
import fcntl
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from .engine.base import Spent
from .records import PENDING, RUNNING, Event, Task, Usage
from .store_rows import row_of, spent_of, task_of

_VERSION = 1
_SCHEMA = """
BEGIN;
CREATE TABLE tasks (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL,
    status TEXT NOT NULL,
    description TEXT NOT NULL,
    model TEXT NOT NULL,
    working_directory TEXT NOT NULL,
    created_at TEXT NOT NULL,
    completed_at TEXT,
    summary TEXT NOT NULL,
    result TEXT NOT NULL,
    artifacts TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost REAL NOT NULL,
    failure TEXT
);
CREATE INDEX tasks_by_key ON tasks (key, n);
CREATE INDEX tasks_unfinished ON tasks (n) WHERE completed_at IS NULL;
CREATE TABLE events (
    task_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    type TEXT NOT NULL,
    timestamp TEXT NOT NULL,
    fields TEXT NOT NULL,
    PRIMARY KEY (task_id, seq)
) WITHOUT ROWID;
CREATE TABLE idempotency (
    key TEXT NOT NULL,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (key, scope, name)
) WITHOUT ROWID;
CREATE TABLE usage (
    key TEXT NOT NULL,
    at TEXT NOT NULL,
    model TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost REAL NOT NULL
);
CREATE INDEX usage_by_key ON usage (key, at);
PRAGMA user_version = 1;
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """An Idempotency-Key of a caller: ``name`` is the header's value, ``fingerprint`` stands for the body."""

    key: str
    scope: str
    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What was stored under a claim, and the fingerprint of the body it was stored for."""

    fingerprint: str
    value: str


class StoreError(Exception):
    """The store cannot be opened; the message is one line for whoever starts the server."""


class Store:
    """Used from one thread only. Every method is one small transaction."""

    def __init__(self, folder: Path) -> None:
        """Open the database in ``folder``, or make it. Raises StoreError."""
        with contextlib.ExitStack() as stack:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                stack.enter_context(_locked(folder))
                file = folder / "state.sqlite3"
                file.touch(mode=0o600)
                self._db = stack.enter_context(closing(sqlite3.connect(file)))
                self._prepare(folder)
            except (OSError, sqlite3.Error) as error:
                raise StoreError(f"cannot use the state directory {folder}: {error}") from error
            self._opened = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._opened.close()

    # ---- tasks and events

    def add_task(self, task: Task, claim: Claim | None = None) -> None:
        """Store a new task, and with it the Idempotency-Key it was asked for with."""
        row = row_of(task)
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        with self._db:
            self._db.execute(f"INSERT INTO tasks ({names}) VALUES ({marks})", row)  # noqa: S608
            if claim is not None:
                self._keep(claim, task.id, task.created_at)

    def start_task(self, task_id: str) -> None:
        with self._db:
            self._db.execute("UPDATE tasks SET status = ? WHERE id = ?", (RUNNING, task_id))

    def add_event(self, task_id: str, event: Event) -> None:
        with self._db:
            self._add_event(task_id, event)

    def end_task(self, task: Task, event: Event) -> None:
        """Store how a task ended, its terminal event and what it used up, all at once."""
        row = row_of(task)
        values = ", ".join(f"{name} = :{name}" for name in row)
        with self._db:
            self._db.execute(f"UPDATE tasks SET {values} WHERE id = :id", row)  # noqa: S608
            self._add_event(task.id, event)
            self._add_usage(task.key, event.timestamp, task.model, task.spent)

    def task(self, task_id: str, key: str | None = None) -> Task | None:
        """A task; with ``key`` only if it belongs to that key."""
        row = self._one("SELECT * FROM tasks WHERE id = ? AND (? IS NULL OR key = ?)", task_id, key, key)
        return None if row is None else task_of(row)

    def tasks(
        self, key: str, limit: int, *, status: str | None = None, before: int | None = None
    ) -> tuple[list[Task], int | None]:
        """One page of a key's tasks, newest first, and where the next one starts (to be given as ``before``)."""
        rows = self._all(
            "SELECT * FROM tasks WHERE key = ? AND (? IS NULL OR status = ?) AND (? IS NULL OR n < ?)"
            " ORDER BY n DESC LIMIT ?",
            key, status, status, before, before, limit + 1,
        )  # fmt: skip
        page = rows[:limit]
        return [task_of(row) for row in page], page[-1]["n"] if len(rows) > limit else None

    def unfinished(self) -> list[Task]:
        rows = self._all("SELECT * FROM tasks WHERE status IN (?, ?) ORDER BY n", PENDING, RUNNING)
        return [task_of(row) for row in rows]

    def events(self, task_id: str, after: int = 0, limit: int = -1) -> list[Event]:
        """A task's events with a number greater than ``after``, in order."""
        rows = self._all(
            "SELECT * FROM events WHERE task_id = ? AND seq > ? ORDER BY seq LIMIT ?", task_id, after, limit
        )
        return [Event(row["seq"], row["type"], row["timestamp"], json.loads(row["fields"])) for row in rows]

    def last_seq(self, task_id: str) -> int:
        row = self._one("SELECT max(seq) AS seq FROM events WHERE task_id = ?", task_id)
        return 0 if row is None else row["seq"] or 0

    # ---- idempotency keys

    def kept(self, claim: Claim, since: str = "") -> Kept | None:
        """What was stored under the claim's name, not before ``since`` (ISO 8601), whatever the body was."""
        row = self._one(
            "SELECT fingerprint, value FROM idempotency"
            " WHERE key = ? AND scope = ? AND name = ? AND created_at >= ?",
            claim.key, claim.scope, claim.name, since,
        )  # fmt: skip
        return None if row is None else Kept(row["fingerprint"], row["value"])

    def keep(self, claim: Claim, value: str, at: str) -> None:
        with self._db:
            self._keep(claim, value, at)

    def forget(self, scope: str, before: str) -> None:
        """Drop what was kept in ``scope`` before a time."""
        with self._db:
            self._db.execute("DELETE FROM idempotency WHERE scope = ? AND created_at < ?", (scope, before))

    # ---- usage

    def add_usage(self, key: str, at: str, model: str, spent: Spent) -> None:
        with self._db:
            self._add_usage(key, at, model, spent)

    def usage(self, key: str, since: str) -> list[Usage]:
        """What a key used since a time (ISO 8601), by model."""
        rows = self._all(
            "SELECT model, count(*) AS requests, sum(input_tokens) AS input_tokens,"
            " sum(output_tokens) AS output_tokens, sum(cost) AS cost"
            " FROM usage WHERE key = ? AND at >= ? GROUP BY model ORDER BY model",
            key, since,
        )  # fmt: skip
        return [Usage(row["model"], row["requests"], spent_of(row)) for row in rows]

    # ---- inside

    def _prepare(self, folder: Path) -> None:
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        version = self._all("PRAGMA user_version")[0][0]
        if version not in (0, _VERSION):
            raise StoreError(f"the state in {folder} was written by another version of the server")
        if version == 0:
            self._db.executescript(_SCHEMA)

    def _one(self, sql: str, *values: Any) -> sqlite3.Row | None:
        rows = self._all(sql, *values)
        return rows[0] if rows else None

    def _all(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with closing(self._db.execute(sql, values)) as cursor:
            return cursor.fetchall()

    def _add_event(self, task_id: str, event: Event) -> None:
        self._db.execute(
            "INSERT INTO events (task_id, seq, type, timestamp, fields) VALUES (?, ?, ?, ?, ?)",
            (task_id, event.seq, event.type, event.timestamp, json.dumps(event.fields, default=str)),
        )

    def _add_usage(self, key: str, at: str, model: str, spent: Spent) -> None:
        self._db.execute(
            "INSERT INTO usage (key, at, model, input_tokens, output_tokens, cost) VALUES (?, ?, ?, ?, ?, ?)",
            (key, at, model, spent.input_tokens, spent.output_tokens, spent.cost),
        )

    def _keep(self, claim: Claim, value: str, at: str) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO idempotency (key, scope, name, fingerprint, value, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (claim.key, claim.scope, claim.name, claim.fingerprint, value, at),
        )


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps other servers out, until this one has ended in whatever way."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(f"another server uses the state directory {folder}") from None
        yield
