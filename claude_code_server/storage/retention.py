"""Deletion of what is old, step by step: each step is one small transaction, so that it blocks nobody for long."""

from __future__ import annotations

import sqlite3
from typing import Final

_TASKS_AT_ONCE: Final = 20
_EVENTS_AT_ONCE: Final = 200
_ROWS_AT_ONCE: Final = 200
_PAGES_AT_ONCE: Final = 100
_PAGES_KEPT: Final = 1_000
"""Free pages that stay in the file for the next writes."""
_OLD_TASKS: Final = "SELECT id FROM tasks WHERE completed_at < ? ORDER BY completed_at LIMIT ?"


class Retention:
    """Deletes old rows of a database. Times are in ISO 8601; each method returns whether there was anything to do."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def delete_tasks(self, before: str) -> bool:
        """Delete some tasks that ended before a time, with their idempotency keys; their events follow later.

        Followers see a task with all its events or not at all.
        """
        with self._db:
            tasks = [(row[0],) for row in self._db.execute(_OLD_TASKS, (before, _TASKS_AT_ONCE)).fetchall()]
            self._db.executemany("INSERT INTO pruned_tasks (task_id) VALUES (?)", tasks)
            self._db.executemany(
                "DELETE FROM idempotency WHERE scope = 'task' AND value = ?1"
                " AND created_at = (SELECT created_at FROM tasks WHERE id = ?1)",
                tasks,
            )
            self._db.executemany("DELETE FROM tasks WHERE id = ?", tasks)
        return bool(tasks)

    def delete_events(self) -> bool:
        """Delete some events of a deleted task."""
        row = self._db.execute("SELECT task_id FROM pruned_tasks LIMIT 1").fetchone()
        if row is None:
            return False
        with self._db:
            deleted = self._db.execute(
                "DELETE FROM events WHERE task_id = ?1"
                " AND seq IN (SELECT seq FROM events WHERE task_id = ?1 ORDER BY seq LIMIT ?2)",
                (row[0], _EVENTS_AT_ONCE),
            )
            if deleted.rowcount < _EVENTS_AT_ONCE:
                self._db.execute("DELETE FROM pruned_tasks WHERE task_id = ?", (row[0],))
        return True

    def delete_responses(self, scope: str, before: str) -> bool:
        """Delete some responses of ``scope`` that are older than a time."""
        with self._db:
            deleted = self._db.execute(
                "DELETE FROM idempotency WHERE (key, scope, name) IN"
                " (SELECT key, scope, name FROM idempotency WHERE scope = ? AND created_at < ? LIMIT ?)",
                (scope, before, _ROWS_AT_ONCE),
            )
        return deleted.rowcount > 0

    def delete_usage(self, before: str) -> bool:
        """Delete some records of usage from before a time."""
        with self._db:
            deleted = self._db.execute(
                "DELETE FROM usage WHERE rowid IN (SELECT rowid FROM usage WHERE at < ? LIMIT ?)",
                (before, _ROWS_AT_ONCE),
            )
        return deleted.rowcount > 0

    def delete_audit(self, before: str) -> bool:
        """Delete some entries of the audit log from before a time."""
        with self._db:
            deleted = self._db.execute(
                "DELETE FROM audit WHERE n IN (SELECT n FROM audit WHERE at < ? AND ended_at IS NOT NULL LIMIT ?)",
                (before, _ROWS_AT_ONCE),
            )
        return deleted.rowcount > 0

    def return_space(self) -> bool:
        """Return some free pages of the file to the file system."""
        [(free,)] = self._db.execute("PRAGMA freelist_count").fetchall()
        if free <= _PAGES_KEPT:
            return False
        self._db.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
        [(left,)] = self._db.execute("PRAGMA freelist_count").fetchall()
        # A file of an earlier version keeps its pages, and uses them again.
        return bool(left < free)
