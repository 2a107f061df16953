"""Conversion between tasks and rows of the database. No I/O."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from ..domain.entities import Artifact, ArtifactFile, Task, TaskError
from ..domain.usage import Usage


def task_to_row(task: Task) -> dict[str, Any]:
    """Return the columns of a task by name."""
    return {
        "id": task.id,
        "key": task.key_hash,
        "status": task.status,
        "description": task.description,
        "model": task.model,
        "working_directory": task.working_directory,
        "created_at": task.created_at,
        "completed_at": task.completed_at,
        # SQLite stores valid Unicode only: replace lone surrogates by question marks, as in responses.
        "summary": task.summary.encode(errors="replace").decode(),
        "result": json.dumps(dict(task.result), default=str),
        "artifacts": json.dumps([{"id": artifact.id, **attrs.asdict(artifact.file)} for artifact in task.artifacts]),
        "input_tokens": task.usage.input_tokens,
        "output_tokens": task.usage.output_tokens,
        "cost": task.usage.cost,
        "failure": None if task.error is None else json.dumps(attrs.asdict(task.error)),
        "warnings": json.dumps(task.warnings),
    }


def task_from_row(row: sqlite3.Row) -> Task:
    """Return the task of a row of ``tasks``."""
    error: Mapping[str, Any] | None = json.loads(row["failure"]) if row["failure"] else None
    return Task(
        id=row["id"],
        key_hash=row["key"],
        description=row["description"],
        model=row["model"],
        working_directory=row["working_directory"],
        created_at=row["created_at"],
        status=row["status"],
        completed_at=row["completed_at"],
        summary=row["summary"],
        result=json.loads(row["result"]),
        artifacts=tuple(_artifacts(json.loads(row["artifacts"]))),
        usage=usage_from_row(row),
        error=None if error is None else TaskError(**error),
        warnings=tuple(json.loads(row["warnings"])),
    )


def usage_from_row(row: sqlite3.Row) -> Usage:
    """Return the usage in a row with token and cost columns."""
    return Usage(row["input_tokens"], row["output_tokens"], row["cost"])


def _artifacts(stored: Iterable[dict[str, Any]]) -> Iterable[Artifact]:
    return (Artifact(data.pop("id"), ArtifactFile(**data)) for data in stored)
