"""Store: tasks, events, idempotency keys and usage in SQLite.

The rest of the server knows only the methods of ``Store``, so that another database can replace SQLite.
"""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Self

from ..domain.audit import Grants
from ..domain.entities import RUNNING, Task, TaskEvent
from ..domain.idempotency import IdempotencyKey, PaidCompletion, StoredResponse
from ..domain.usage import NO_USAGE, ModelUsage, Usage
from .audit import record_end, record_start
from .key_table import KeyTable, open_key_table
from .migration import LaterVersionError, migrate
from .read_pool import ReadPool
from .retention import Retention
from .rows import charged_task_from_row, event_to_row, task_to_row, usage_from_row
from .schema import VERSION
from .task_reader import TaskReader

STATE_FILE: Final = "state.sqlite3"
_NOTHING: Final[Mapping[str, int]] = {}
_UNFINISHED: Final = (
    "SELECT id, key, status, '' AS description, model, working_directory, created_at, completed_at, summary, result,"
    " artifacts, input_tokens, output_tokens, cost, failure, warnings, reserved"
    " FROM tasks WHERE completed_at IS NULL ORDER BY n"
)
_DELETE_SPEC: Final = "DELETE FROM queued_specs WHERE task_id = ?"
_FIXED: Final = ("id", "key", "description", "model", "working_directory", "created_at")
"""Columns of a task that never change."""


class StoreError(Exception):
    """The database cannot be opened. The message is one line for the person who starts the server."""


class Store(TaskReader):
    """Database of one server, for use from one thread but for the methods of TaskReader.

    Each method is one small transaction and raises sqlite3.Error if the transaction fails.
    """

    def __init__(self, directory: Path) -> None:
        """Open or create the database in ``directory``. Raise StoreError."""
        self.directory = directory
        self._deferred_completions: list[PaidCompletion] = []
        with contextlib.ExitStack() as stack:
            try:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                stack.enter_context(_lock(directory))
                file = directory / STATE_FILE
                file.touch(mode=0o600)
                self._db = stack.enter_context(closing(sqlite3.connect(file)))
                self._db.row_factory = sqlite3.Row
                migrate(self._db)
                # A power failure must not lose what a client has received: without its idempotency key a task could
                # run twice, without its event a Last-Event-ID would be unknown. The price is a tenth of a millisecond
                # per transaction. Only completions that cost nothing do without (PaidCompletion.durable).
                self._db.execute("PRAGMA synchronous = FULL")
                self.keys = KeyTable(self._db)
                self.retention = Retention(self._db)
                super().__init__(stack.enter_context(closing(ReadPool(file))))
            except (OSError, sqlite3.Error, LaterVersionError) as error:
                raise StoreError(f"cannot use the state directory {directory}: {error}") from error
            self._resources = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Store deferred ends if possible, and close the database."""
        self._store_deferred()
        self._resources.close()

    def has_deferred(self) -> bool:
        """Return whether something waits to be stored, after one more attempt to store it."""
        self._store_deferred()
        return bool(self._deferred or self._deferred_completions)

    def size(self) -> int:
        """Return the size of the database's files in bytes."""
        return sum(file.stat().st_size for file in self.directory.glob(f"{STATE_FILE}*"))

    # ---- tasks and events

    def add_task(
        self,
        task: Task,
        key: IdempotencyKey | None = None,
        grants: Grants = Grants(),  # noqa: B008 (frozen)
        request_id: str | None = None,
        spec: str | None = None,
    ) -> None:
        """Store a new task together with the idempotency key of its request and its entry in the audit log.

        ``spec`` is kept until the task starts.
        """
        row = task_to_row(task)
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        with self._transaction():
            self._db.execute(f"INSERT INTO tasks ({names}) VALUES ({marks})", row)  # noqa: S608
            if key is not None:
                self._save_response(key, task.id, task.created_at)
            if spec is not None:
                self._db.execute("INSERT INTO queued_specs (task_id, spec) VALUES (?, ?)", (task.id, spec))
            record_start(self._db, task, grants, request_id)

    def start_task(self, task_id: str) -> None:
        """Mark a task as running."""
        with self._transaction():
            self._db.execute("UPDATE tasks SET status = ? WHERE id = ?", (RUNNING, task_id))
            self._db.execute(_DELETE_SPEC, (task_id,))

    def add_events(self, task_id: str, events: Sequence[TaskEvent]) -> int:
        """Store events, all or none of them; return the size of their fields."""
        with self._transaction():
            return self._add_events(task_id, events)

    def set_usage(self, task_id: str, usage: Usage, reserved: float = 0.0) -> None:
        """Store the usage of a task so far, and the most in USD that its calls in progress may add."""
        with self._transaction():
            self._db.execute(
                "UPDATE tasks SET input_tokens = ?, output_tokens = ?, cost = ?, reserved = ? WHERE id = ?",
                (usage.input_tokens, usage.output_tokens, usage.cost, reserved, task_id),
            )

    def end_task(self, task: Task, event: TaskEvent, used: Mapping[str, int] = _NOTHING) -> None:
        """Store an ended task, its terminal event, its usage and what it has ``used`` in one transaction."""
        with self._transaction():
            self._end_task(task, event, used)

    def defer_end(self, task: Task, event: TaskEvent, used: Mapping[str, int] = _NOTHING) -> None:
        """Keep the end of a task that cannot be stored now.

        Readers see the end at once; the database receives it as soon as a later transaction succeeds.
        """
        self._deferred[task.id] = task, event, used
        self._store_deferred()

    def unfinished_tasks(self) -> list[Task]:
        """Return the pending and running tasks of all keys, oldest first, charged with what they have reserved.

        They have no descriptions, which could be large.
        """
        return [charged_task_from_row(row) for row in self._fetch_all(_UNFINISHED)]

    # ---- idempotency keys

    def find_response(self, key: IdempotencyKey, since: str = "") -> StoredResponse | None:
        """Return the response stored under ``key``, for whatever body, unless it is older than ``since`` (ISO 8601)."""
        for completion in self._deferred_completions:
            if completion.key is not None and completion.key.same_as(key):
                return StoredResponse(completion.key.fingerprint, completion.response)
        row = self._fetch_one(
            "SELECT fingerprint, value FROM idempotency"
            " WHERE key = ? AND scope = ? AND name = ? AND created_at >= ?",
            key.owner, key.scope, key.value, since,
        )  # fmt: skip
        return None if row is None else StoredResponse(row["fingerprint"], row["value"])

    # ---- usage

    def reserve(self, owner: str, at: str, model: str, usage: Usage) -> int | None:
        """Store the most that a completion may use, before it is paid for; return the number of the reservation.

        A completion that costs nothing needs none: return None.
        Raise sqlite3.Error if that fails, or while earlier completions wait to be stored.
        """
        self._store_deferred()
        if self._deferred_completions:
            raise sqlite3.OperationalError("completions wait to be stored")
        if not usage.cost:
            return None
        with self._transaction():
            cursor = self._db.execute(
                "INSERT INTO reservations (key, at, model, input_tokens, output_tokens, cost)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (owner, at, model, usage.input_tokens, usage.output_tokens, usage.cost),
            )
        return cursor.lastrowid

    def charge_reservations(self) -> None:
        """Charge what a server reserved that crashed before it could store what the completions had cost."""
        columns = "key, at, model, input_tokens, output_tokens, cost"
        with self._transaction():
            self._db.execute(
                f"INSERT INTO usage ({columns}, kind)"  # noqa: S608
                f" SELECT {columns}, 'completion' FROM reservations WHERE cost > 0"
            )
            self._db.execute("DELETE FROM reservations")

    def save_completion(self, completion: PaidCompletion) -> None:
        """Store a completion's usage and its response in one transaction, which waits for the disk if it is durable.

        If that fails, keep it for repeated requests and until a later transaction succeeds, and raise the error.
        """
        try:
            with self._db if completion.durable else _not_waiting(self._db):
                self._save_completion(completion)
        except sqlite3.Error:
            self._deferred_completions.append(completion)
            raise
        self._store_deferred()

    def usage_by_model(self, owner: str, since: str) -> list[ModelUsage]:
        """Return the usage of a key since a time (ISO 8601)."""
        self._store_deferred()
        rows = self._fetch_all(
            "SELECT model, count(*) AS requests, sum(input_tokens) AS input_tokens,"
            " sum(output_tokens) AS output_tokens, sum(cost) AS cost"
            " FROM usage WHERE key = ? AND at >= ? GROUP BY model ORDER BY model",
            owner, since,
        )  # fmt: skip
        return [ModelUsage(row["model"], row["requests"], usage_from_row(row)) for row in rows]

    # ---- private

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._db:
            yield
        self._store_deferred()

    def _store_deferred(self) -> None:
        for task_id, end in list(self._deferred.items()):
            try:
                with self._db:
                    self._end_task(*end)
            except sqlite3.Error:
                return
            del self._deferred[task_id]
        while self._deferred_completions:
            try:
                with self._db:
                    self._save_completion(self._deferred_completions[0])
            except sqlite3.Error:
                return
            del self._deferred_completions[0]

    def _end_task(self, task: Task, event: TaskEvent, used: Mapping[str, int]) -> None:
        row = task_to_row(task)
        values = ", ".join(f"{name} = :{name}" for name in row if name not in _FIXED)
        self._db.execute(f"UPDATE tasks SET {values} WHERE id = :id", row)  # noqa: S608
        self._db.execute(_DELETE_SPEC, (task.id,))
        self._add_events(task.id, [event])
        self._add_usage("task", task.owner, event.timestamp, task.model, task.usage)
        record_end(self._db, task, used)

    def _fetch_one(self, sql: str, *values: Any) -> sqlite3.Row | None:
        rows = self._fetch_all(sql, *values)
        return rows[0] if rows else None

    def _fetch_all(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        return self._db.execute(sql, values).fetchall()

    def _add_events(self, task_id: str, events: Iterable[TaskEvent]) -> int:
        rows = [event_to_row(task_id, event) for event in events]
        self._db.executemany("INSERT INTO events (task_id, seq, type, timestamp, fields) VALUES (?, ?, ?, ?, ?)", rows)
        return sum(len(fields) for *_, fields in rows)

    def _save_completion(self, completion: PaidCompletion) -> None:
        if completion.reservation is not None:
            self._db.execute("DELETE FROM reservations WHERE n = ?", (completion.reservation,))
        if completion.response or completion.usage != NO_USAGE:
            self._add_usage("completion", completion.owner, completion.at, completion.model, completion.usage)
        if completion.key is not None:
            self._save_response(completion.key, completion.response, completion.at)

    def _add_usage(self, kind: str, owner: str, at: str, model: str, usage: Usage) -> None:
        self._db.execute(
            "INSERT INTO usage (key, at, model, input_tokens, output_tokens, cost, kind) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (owner, at, model, usage.input_tokens, usage.output_tokens, usage.cost, kind),
        )

    def _save_response(self, key: IdempotencyKey, value: str, at: str) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO idempotency (key, scope, name, fingerprint, value, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (key.owner, key.scope, key.value, key.fingerprint, value, at),
        )


@contextlib.contextmanager
def _not_waiting(db: sqlite3.Connection) -> Iterator[None]:
    """Run a transaction that does not wait for the disk: a crash of the server cannot lose it, a power failure may."""
    db.execute("PRAGMA synchronous = NORMAL")
    try:
        with db:
            yield
    finally:
        db.execute("PRAGMA synchronous = FULL")


@contextlib.contextmanager
def open_keys(directory: Path) -> Iterator[KeyTable]:
    """Open the keys of a state directory, whether a server uses it or not. Raise StoreError."""
    try:
        if not _is_current(directory / STATE_FILE):
            # Creates or updates the database, unless a server of another version uses it.
            Store(directory).close()
        stack = contextlib.ExitStack()
        table = stack.enter_context(open_key_table(directory / STATE_FILE))
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"cannot use the state directory {directory}: {error}") from error
    with stack:
        yield table


def _is_current(file: Path) -> bool:
    if not file.exists():
        return False
    with closing(sqlite3.connect(file)) as db:
        return bool(db.execute("PRAGMA user_version").fetchone()[0] == VERSION)


@contextlib.contextmanager
def _lock(directory: Path) -> Iterator[None]:
    """Lock the directory against other servers, until this process ends in whatever way."""
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(f"another server uses the state directory {directory}") from None
        yield
