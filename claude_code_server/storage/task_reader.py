"""Reader of stored tasks and their events."""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any, Final, TypeVar

import attrs

from ..domain.entities import Task, TaskEvent
from .read_pool import ReadPool
from .rows import event_from_row, task_from_row

T = TypeVar("T")

_MAX_N: Final = 2**63 - 1


class TaskReader:
    """Reader of tasks and events, for use from any thread."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool
        self._deferred: dict[str, tuple[Task, TaskEvent, Mapping[str, int]]] = {}
        """Ends of tasks that could not be stored yet, with what they have used, by task ID. They count as stored."""

    async def in_thread(self, read: Callable[[], T]) -> T:
        """Run ``read``, which calls methods of this class, in a thread of the pool and return its result."""
        return await self._pool.run(read)

    def get_task(self, task_id: str, owner: str | None = None) -> Task | None:
        """Return a task; with ``owner`` only if it is that key's."""
        sql = "SELECT * FROM tasks WHERE id = ? AND (? IS NULL OR key = ?)"
        with self._read(sql, task_id, owner, owner) as rows:
            row = rows.fetchone()
        return None if row is None else self._task(row)

    def has_spec(self, task_id: str) -> bool:
        """Return whether a specification is stored with a task, so that it can still run."""
        with self._read("SELECT 1 FROM queued_specs WHERE task_id = ?", task_id) as rows:
            return rows.fetchone() is not None

    def queued_spec(self, task_id: str) -> str | None:
        """Return the specification stored with a task that has not started."""
        with self._read("SELECT spec FROM queued_specs WHERE task_id = ?", task_id) as rows:
            row = rows.fetchone()
        return None if row is None else str(row["spec"])

    def list_tasks(
        self,
        owner: str,
        limit: int,
        *,
        status: str | None = None,
        before: int | None = None,
        max_characters: float = math.inf,
    ) -> tuple[list[Task], int | None]:
        """Return one page of a key's tasks, newest first, and ``before`` of the next page.

        The page ends with the task number ``limit``, or with the one that reaches ``max_characters`` in total.
        """
        # One condition more only where it is needed, so that an index serves each of the two queries.
        with_status = "" if status is None else " AND status = :status"
        sql = f"SELECT * FROM tasks WHERE key = :key{with_status} AND n < :before ORDER BY n DESC LIMIT :limit"  # noqa: S608
        values = {"key": owner, "status": status, "before": _MAX_N if before is None else before, "limit": limit + 1}
        tasks: list[Task] = []
        count, left, last = 0, max_characters, None
        with self._read(sql, values) as rows:
            for row in rows:
                if count == limit or left <= 0:
                    return tasks, last
                task = self._task(row)
                if status is None or task.status == status:
                    tasks.append(task)
                count, last = count + 1, row["n"]
                left -= sum(len(row[name]) for name in ("description", "summary", "result", "artifacts"))
        return tasks, None

    def list_events(
        self, task_id: str, after: int = 0, limit: int = -1, max_characters: float = math.inf
    ) -> list[TaskEvent]:
        """Return a task's events with sequence numbers above ``after``, in order.

        The list ends with the event number ``limit``, or with the one whose fields reach ``max_characters`` in total.
        Further events are not read from the database.
        """
        sql = "SELECT * FROM events WHERE task_id = ? AND seq > ? ORDER BY seq LIMIT ?"
        events: list[TaskEvent] = []
        left = max_characters
        # Taken first: an event may be stored between the two reads, and must not be missing then.
        deferred = self._deferred.get(task_id)
        with self._read(sql, task_id, after, limit) as rows:
            while left > 0 and (row := rows.fetchone()) is not None:
                events.append(event_from_row(row))
                left -= len(row["fields"])
        if deferred is not None and left > 0 and len(events) != limit:
            end = deferred[1]
            events += [end] if end.seq > (events[-1].seq if events else after) else []
        return events

    def read_log(self, task_id: str, max_events: int, max_characters: int) -> tuple[list[TaskEvent], bool]:
        """Return a task's events without the terminal one, and whether they are all.

        The list ends after ``max_events``, or before the event with which their fields would exceed ``max_characters``
        in total.
        """
        events: list[TaskEvent] = []
        left = max_characters
        with self._read("SELECT * FROM events WHERE task_id = ? ORDER BY seq", task_id) as rows:
            for row in rows:
                event = event_from_row(row)
                left -= len(row["fields"])
                if event.terminal:
                    break
                if left < 0 or len(events) == max_events:
                    return events, False
                events.append(event)
        return events, True

    def last_seq(self, task_id: str) -> int:
        """Return the highest sequence number of a task's events; 0 if there are none."""
        deferred = self._deferred.get(task_id)
        if deferred is not None:
            return deferred[1].seq
        with self._read("SELECT max(seq) AS seq FROM events WHERE task_id = ?", task_id) as rows:
            return rows.fetchone()["seq"] or 0

    # ---- private

    @contextlib.contextmanager
    def _read(self, sql: str, *values: Any) -> Iterator[sqlite3.Cursor]:
        """Run a query with ``values``: one mapping, or one value for each question mark."""
        parameters = values[0] if len(values) == 1 and isinstance(values[0], dict) else values
        with self._pool.connection() as connection, closing(connection.execute(sql, parameters)) as rows:
            yield rows

    def _task(self, row: sqlite3.Row) -> Task:
        deferred = self._deferred.get(row["id"])
        if deferred is None:
            return task_from_row(row)
        # Tasks in memory have no description.
        return attrs.evolve(deferred[0], description=row["description"])
