"""Entities: tasks, their events and their artifacts, independent of storage and of the wire format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from .usage import Usage

PENDING: Final = "pending"
RUNNING: Final = "running"
RESULT: Final = "result"
"""Type of the terminal event of a task that completed, failed or was cancelled."""
ERROR: Final = "error"
"""Type of the terminal event of a task that was ended by its timeout, its budget or a failure of the server."""


@attrs.frozen
class TaskError:
    """Reason why a task did not complete."""

    type: str
    """Error type of the contract."""
    message: str
    estimated_cost: float | None = None
    """USD."""


PATCH: Final = "patch"
"""Type of artifacts with all changes of a task, which the server keeps, rather than the working directory."""


@attrs.frozen
class ArtifactFile:
    """A file that a run created or changed, or a patch."""

    path: str
    """Relative to the working directory, with forward slashes; of a patch, its name."""
    size_bytes: int
    sha256: str
    created_at: str
    """ISO 8601, UTC."""
    type: str = "file"
    version: tuple[int, ...] | None = attrs.field(default=None, converter=attrs.converters.optional(tuple[int, ...]))
    """Numbers that stay the same while the file is unchanged (``file_version``); None if unknown."""


@attrs.frozen
class Artifact:
    """A file that clients can download."""

    id: str
    file: ArtifactFile


@attrs.frozen
class Task:
    """An agentic task. Times are ISO 8601 in UTC."""

    id: str
    owner: str
    """Identity of the API key that created the task (``Caller.owner``)."""
    description: str
    model: str
    working_directory: str
    created_at: str
    status: str = PENDING
    completed_at: str | None = None
    summary: str = ""
    result: Mapping[str, Any] = attrs.field(factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    usage: Usage = attrs.field(factory=Usage)
    error: TaskError | None = None
    warnings: tuple[str, ...] = ()
    """Parts of the request that were not honoured, and data that could not be expressed as it was."""

    @property
    def ended(self) -> bool:
        return self.completed_at is not None


@attrs.frozen
class TaskEvent:
    """An event of a task. A terminal event has no fields: its content is that of the task."""

    seq: int
    """Sequence number: starts at 1, without gaps."""
    type: str
    timestamp: str
    fields: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def terminal(self) -> bool:
        return self.type in (RESULT, ERROR)
