"""What must outlive the process: tasks, events, idempotency keys and usage, in SQLite.

Everything else in the server knows only the methods of ``Store``, so that another database can take its place.
"""

import contextlib
import fcntl
import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from .engine.base import Spent
from .records import PENDING, RUNNING, Event, Task, Usage
from .store_rows import row_of, spent_of, task_of
from .store_schema import SCHEMA, VERSION


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
    """Used from one thread only. Every method is one small transaction, which raises sqlite3.Error when it fails."""

    def __init__(self, folder: Path) -> None:
        """Open the database in ``folder``, or make it. Raises StoreError."""
        self._owed: dict[str, tuple[Task, Event]] = {}
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
        self._settle()
        self._opened.close()

    # ---- tasks and events

    def add_task(self, task: Task, claim: Claim | None = None) -> None:
        """Store a new task, and with it the Idempotency-Key it was asked for with."""
        row = row_of(task)
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        with self._writing():
            self._db.execute(f"INSERT INTO tasks ({names}) VALUES ({marks})", row)  # noqa: S608
            if claim is not None:
                self._keep(claim, task.id, task.created_at)

    def start_task(self, task_id: str) -> None:
        with self._writing():
            self._db.execute("UPDATE tasks SET status = ? WHERE id = ?", (RUNNING, task_id))

    def add_event(self, task_id: str, event: Event) -> None:
        with self._writing():
            self._add_event(task_id, event)

    def set_spent(self, task_id: str, spent: Spent) -> None:
        """Store what a task has used up so far."""
        with self._writing():
            self._db.execute(
                "UPDATE tasks SET input_tokens = ?, output_tokens = ?, cost = ? WHERE id = ?",
                (spent.input_tokens, spent.output_tokens, spent.cost, task_id),
            )

    def end_task(self, task: Task, event: Event) -> None:
        """Store how a task ended, its terminal event and what it used up, all at once."""
        with self._writing():
            self._end_task(task, event)

    def owe_end(self, task: Task, event: Event) -> None:
        """The same for an end that cannot be stored now: it is told of as if it were, and stored when that works."""
        self._owed[task.id] = task, event
        self._settle()

    def task(self, task_id: str, key: str | None = None) -> Task | None:
        """A task; with ``key`` only if it belongs to that key."""
        row = self._one("SELECT * FROM tasks WHERE id = ? AND (? IS NULL OR key = ?)", task_id, key, key)
        return None if row is None else self._task(row)

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
        tasks = [task for row in page if (task := self._task(row)).status == status or status is None]
        return tasks, page[-1]["n"] if len(rows) > limit else None

    def unfinished(self) -> list[Task]:
        rows = self._all("SELECT * FROM tasks WHERE status IN (?, ?) ORDER BY n", PENDING, RUNNING)
        return [task_of(row) for row in rows]

    def events(self, task_id: str, after: int = 0, limit: int = -1, size: float = math.inf) -> list[Event]:
        """A task's events with a number greater than ``after``, in order: ``limit`` at most, and none after those
        whose fields make up ``size`` characters. What is not given is not read either.
        """
        sql = "SELECT * FROM events WHERE task_id = ? AND seq > ? ORDER BY seq LIMIT ?"
        events: list[Event] = []
        with closing(self._db.execute(sql, (task_id, after, limit))) as rows:
            while size > 0 and (row := rows.fetchone()) is not None:
                events.append(Event(row["seq"], row["type"], row["timestamp"], json.loads(row["fields"])))
                size -= len(row["fields"])
        if task_id in self._owed and size > 0 and len(events) != limit:
            end = self._owed[task_id][1]
            events += [end] if end.seq > after else []
        return events

    def last_seq(self, task_id: str) -> int:
        if task_id in self._owed:
            return self._owed[task_id][1].seq
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
        with self._writing():
            self._keep(claim, value, at)

    def forget(self, scope: str, before: str) -> None:
        """Drop what was kept in ``scope`` before a time."""
        with self._writing():
            self._db.execute("DELETE FROM idempotency WHERE scope = ? AND created_at < ?", (scope, before))

    # ---- usage

    def add_usage(self, key: str, at: str, model: str, spent: Spent) -> None:
        with self._writing():
            self._add_usage(key, at, model, spent)

    def usage(self, key: str, since: str) -> list[Usage]:
        """What a key used since a time (ISO 8601), by model."""
        self._settle()
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
        # What a client has seen must not be lost with the power: an Idempotency-Key that is gone lets a task run twice,
        # an event that is gone makes a Last-Event-ID that never was. It takes a tenth of a millisecond a transaction.
        self._db.execute("PRAGMA synchronous = FULL")
        version = self._all("PRAGMA user_version")[0][0]
        if version not in (0, VERSION):
            raise StoreError(f"the state in {folder} was written by another version of the server")
        if version == 0:
            self._db.executescript(SCHEMA)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._db:
            yield
        self._settle()

    def _settle(self) -> None:
        """Store the ends that are owed, as far as that works."""
        for task_id, (task, event) in list(self._owed.items()):
            try:
                with self._db:
                    self._end_task(task, event)
            except sqlite3.Error:
                return
            del self._owed[task_id]

    def _task(self, row: sqlite3.Row) -> Task:
        owed = self._owed.get(row["id"])
        return task_of(row) if owed is None else owed[0]

    def _end_task(self, task: Task, event: Event) -> None:
        row = row_of(task)
        values = ", ".join(f"{name} = :{name}" for name in row)
        self._db.execute(f"UPDATE tasks SET {values} WHERE id = :id", row)  # noqa: S608
        self._add_event(task.id, event)
        self._add_usage(task.key, event.timestamp, task.model, task.spent)

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
