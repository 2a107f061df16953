"""Audit log in the database: written in the transactions of what it records, read while a server writes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

import attrs

from ..domain.audit import AuditEntry, Grants
from ..domain.entities import Task
from .rows import usage_from_row
from .schema import VERSION

_INSERT: Final = (
    "INSERT INTO audit (at, key, task_id, request_id, model, grants, used, status, input_tokens, output_tokens, cost)"
    " VALUES (?, ?, ?, ?, ?, ?, '{}', ?, 0, 0, 0)"
)
_END: Final = (
    "UPDATE audit SET status = ?, ended_at = ?, used = ?, input_tokens = ?, output_tokens = ?, cost = ?"
    " WHERE task_id = ?"
)
# A task's own row in `usage` is left out: the audit log has one for the task.
_READ: Final = """
SELECT at, key, 'task' AS kind, task_id, request_id, model, grants, used, status, ended_at,
    input_tokens, output_tokens, cost
FROM audit WHERE at >= :since AND key LIKE :key
UNION ALL
SELECT at, key, 'completion', NULL, NULL, model, '{}', '{}', 'completed', at, input_tokens, output_tokens, cost
FROM usage WHERE kind = 'completion' AND at >= :since AND key LIKE :key
ORDER BY at
"""


def record_start(db: sqlite3.Connection, task: Task, grants: Grants, request_id: str | None) -> None:
    """Add the entry of a new task."""
    names = json.dumps(attrs.asdict(grants))
    db.execute(_INSERT, (task.created_at, task.owner, task.id, request_id, task.model, names, task.status))


def record_end(db: sqlite3.Connection, task: Task, used: Mapping[str, int]) -> None:
    """Complete the entry of a task that has ended."""
    usage = task.usage
    counts = (usage.input_tokens, usage.output_tokens, usage.cost)
    db.execute(_END, (task.status, task.completed_at, json.dumps(used), *counts, task.id))


def read_audit(state_dir: Path, *, since: str = "", key_prefix: str = "") -> Iterator[AuditEntry]:
    """Yield the entries of a state directory, oldest first, also while a server uses it.

    ``since`` is in ISO 8601, ``key_prefix`` the beginning of a key's hash. Raise OSError, sqlite3.Error, or ValueError
    if another version wrote the state.
    """
    file = state_dir / "state.sqlite3"
    file.stat()
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        if db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            raise ValueError("the state was written by another version of the server")
        for row in db.execute(_READ, {"since": since, "key": f"{key_prefix}%"}):
            yield _entry(row)


def _entry(row: sqlite3.Row) -> AuditEntry:
    grants = {kind: tuple(names) for kind, names in json.loads(row["grants"]).items()}
    return AuditEntry(
        at=row["at"],
        owner=row["key"],
        kind=row["kind"],
        model=row["model"],
        status=row["status"],
        usage=usage_from_row(row),
        task_id=row["task_id"],
        request_id=row["request_id"],
        grants=Grants(**grants),
        used=json.loads(row["used"]),
        ended_at=row["ended_at"],
    )
