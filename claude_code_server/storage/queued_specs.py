"""Specifications of queued tasks as JSON: what a task needs to run after a restart, beside its row in ``tasks``.

They contain what the caller asked for and nothing else: neither keys nor paths of the server. The database keeps them
until the task starts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import attrs

from ..domain.engine_protocol import TaskSpec
from ..domain.entities import Task

_IN_TASK: Final = ("task_id", "description", "working_directory", "model")
"""Fields that the task has too."""


def encode_spec(spec: TaskSpec) -> str:
    """Return the JSON of a specification, without what its task has too."""
    fields = {name: value for name, value in attrs.asdict(spec, recurse=False).items() if name not in _IN_TASK}
    return json.dumps(fields, default=dict)


def decode_spec(text: str, task: Task) -> TaskSpec:
    """Return the specification of a task. Raise ValueError for one that this version cannot read."""
    fields: Any = json.loads(text)
    known = {field.name for field in attrs.fields(TaskSpec)}
    if not isinstance(fields, dict) or not fields.keys() <= known:
        raise ValueError("not a specification of this version")
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    return TaskSpec(
        task_id=task.id,
        description=task.description,
        working_directory=Path(task.working_directory),
        model=task.model,
        **values,
    )
