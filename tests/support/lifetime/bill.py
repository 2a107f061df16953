"""The server's own account of tasks and money, read from its database."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT = 20.0
"""Seconds that the server has to come to rest."""


@dataclass(frozen=True)
class Bill:
    """Database of a server."""

    database: Path

    def total(self) -> float:
        """Return what everything has cost so far, in USD."""
        return float(self._query("SELECT coalesce(sum(cost), 0) FROM usage")[0][0])

    def tasks(self, prefix: str) -> Counter[str]:
        """Return the number of tasks by description, of those that begin so."""
        rows = self._query("SELECT description FROM tasks WHERE description LIKE ?", f"{prefix}%")
        return Counter(str(row[0]) for row in rows)

    def running(self, prefix: str) -> list[str]:
        """Return the descriptions of the unfinished tasks whose descriptions begin so."""
        sql = "SELECT description FROM tasks WHERE completed_at IS NULL AND description LIKE ?"
        return [str(row[0]) for row in self._query(sql, f"{prefix}%")]

    def wait_for_rest(self, prefix: str) -> list[str]:
        """Wait until no task runs and no completion is in progress; return the tasks that run on."""
        limit = time.monotonic() + TIMEOUT
        while (left := self.running(prefix)) or self._query("SELECT 1 FROM reservations"):
            if time.monotonic() > limit:
                return left or ["a completion"]
            time.sleep(0.005)
        return []

    def _query(self, sql: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            return database.execute(sql, values).fetchall()
