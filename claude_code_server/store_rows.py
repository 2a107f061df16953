"""Tasks as rows of the store, and back. Pure."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from .engine.base import ArtifactFound, Spent
from .records import Artifact, Failure, Task


def row_of(task: Task) -> dict[str, Any]:
    """What stands in the columns of a task, by their names."""
    return {
        "id": task.id,
        "key": task.key,
        "status": task.status,
        "description": task.description,
        "model": task.model,
        "working_directory": task.working_directory,
        "created_at": task.created_at,
        "completed_at": task.completed_at,
        # SQLite takes Unicode only; what else a model writes becomes question marks, as on the wire.
        "summary": task.summary.encode(errors="replace").decode(),
        "result": json.dumps(dict(task.result), default=str),
        "artifacts": json.dumps([{"id": artifact.id, **asdict(artifact.found)} for artifact in task.artifacts]),
        "input_tokens": task.spent.input_tokens,
        "output_tokens": task.spent.output_tokens,
        "cost": task.spent.cost,
        "failure": None if task.failure is None else json.dumps(asdict(task.failure)),
    }


def task_of(row: sqlite3.Row) -> Task:
    """The task that a row of ``tasks`` is."""
    failure: Mapping[str, Any] | None = json.loads(row["failure"]) if row["failure"] else None
    return Task(
        id=row["id"],
        key=row["key"],
        description=row["description"],
        model=row["model"],
        working_directory=row["working_directory"],
        created_at=row["created_at"],
        status=row["status"],
        completed_at=row["completed_at"],
        summary=row["summary"],
        result=json.loads(row["result"]),
        artifacts=tuple(_artifacts(json.loads(row["artifacts"]))),
        spent=spent_of(row),
        failure=None if failure is None else Failure(**failure),
    )


def _artifacts(found: Iterable[dict[str, Any]]) -> Iterable[Artifact]:
    return (Artifact(data.pop("id"), ArtifactFound(**data)) for data in found)


def spent_of(row: sqlite3.Row) -> Spent:
    """What the three columns of that name say was used up."""
    return Spent(row["input_tokens"], row["output_tokens"], row["cost"])
