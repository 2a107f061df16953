"""Conversion between tasks and rows of the database. No I/O."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

import attrs

from ..domain.entities import Artifact, ArtifactFile, Task, TaskError, TaskEvent
from ..domain.usage import Usage

T = TypeVar("T")

_UNREADABLE: Final = "The server cannot read a stored part of this task: {}."


def task_to_row(task: Task) -> dict[str, Any]:
    """Return the columns of a task by name."""
    return {
        "id": task.id,
        "key": task.owner,
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
    """Return the task of a row of ``tasks``. A part that cannot be read is left out, with a warning."""
    unreadable: list[str] = []

    def load(name: str, kind: type[T], empty: T) -> T:
        value = _load(row[name])
        if isinstance(value, kind):
            return value
        unreadable.append(_UNREADABLE.format(name))
        return empty

    error = load("failure", dict, {}) if row["failure"] else {}
    result = load("result", dict, {})
    artifacts = load("artifacts", list, [])
    warnings = load("warnings", list, [])
    return Task(
        id=row["id"],
        owner=row["key"],
        description=row["description"],
        model=row["model"],
        working_directory=row["working_directory"],
        created_at=row["created_at"],
        status=row["status"],
        completed_at=row["completed_at"],
        summary=row["summary"],
        result=result,
        artifacts=tuple(_artifacts(artifacts)),
        usage=usage_from_row(row),
        error=TaskError(**error) if error else None,
        warnings=(*map(str, warnings), *unreadable),
    )


def charged_task_from_row(row: sqlite3.Row) -> Task:
    """Return the unfinished task of a row of ``tasks``; its usage includes what its calls in progress may cost."""
    task = task_from_row(row)
    return attrs.evolve(task, usage=attrs.evolve(task.usage, cost=task.usage.cost + row["reserved"]))


def event_to_row(task_id: str, event: TaskEvent) -> tuple[str, int, str, str, str]:
    """Return the columns of an event in the order of the table."""
    return task_id, event.seq, event.type, event.timestamp, json.dumps(event.fields, default=str)


def event_from_row(row: sqlite3.Row) -> TaskEvent:
    """Return the event of a row of ``events``; one that cannot be read has no fields but ``content``."""
    fields = _load(row["fields"])
    if not isinstance(fields, dict):
        fields = {"content": _UNREADABLE.format("the fields of an event")}
    return TaskEvent(row["seq"], row["type"], row["timestamp"], fields)


def usage_from_row(row: sqlite3.Row) -> Usage:
    """Return the usage in a row with token and cost columns."""
    cost = float(row["cost"] or 0.0)
    return Usage(row["input_tokens"], row["output_tokens"], cost if math.isfinite(cost) else 0.0)


def _artifacts(stored: Iterable[dict[str, Any]]) -> Iterator[Artifact]:
    return (Artifact(data.pop("id"), ArtifactFile(**data)) for data in stored)


def _load(text: str) -> Any:
    """Parse stored JSON; return None for what cannot be parsed."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
