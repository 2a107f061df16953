"""Ends of tasks: the ended task and its terminal event, for what a run came to. No I/O."""

from __future__ import annotations

import uuid
from typing import Final

import attrs

from ..domain.engine_protocol import Outcome
from ..domain.entities import Artifact, Task, TaskError, TaskEvent
from ..domain.json_values import express
from ..domain.timestamps import now
from ..domain.usage import NO_USAGE, Usage

SERVER_FAILED: Final = Outcome("failed", error=("server_error", "The server failed while it ran the task."))
INTERRUPTED: Final = Outcome("failed", error=("server_error", "The server stopped before the task ended."))
NOT_STORED: Final = Outcome("failed", error=("server_error", "The server could not store the task's progress."))
TOO_LARGE: Final = "request_too_large"
"""Error type of a task that produces more than the server keeps."""
LIMIT_STATUSES: Final = ("timeout", "cost_exceeded")
INEXACT: Final = "JSON cannot express {} exactly: some values are given as text."
_FAILED: Final = ("server_error", "The task failed.")
_DEFAULT_ERRORS: Final = {
    "cancelled": ("cancelled_error", "The task was cancelled."),
    "timeout": ("timeout_error", "The task exceeded its timeout."),
    "cost_exceeded": ("cost_exceeded_error", "The task has used up its max_cost."),
    "failed": _FAILED,
}
_MAX_WARNINGS: Final = 50


def ended_task(task: Task, outcome: Outcome, seq: int, event_type: str) -> tuple[Task, TaskEvent]:
    """Return the ended task and its terminal event."""
    at = now()
    usage = task.usage if outcome.usage == NO_USAGE else outcome.usage
    result = express(outcome.result)
    inexact = () if result.exact else (INEXACT.format("the result"),)
    ended = attrs.evolve(
        with_warnings(task, (*outcome.warnings, *inexact)),
        status=outcome.status,
        completed_at=at,
        summary=outcome.summary,
        result=result.value,
        artifacts=tuple(Artifact(f"art_{uuid.uuid4().hex}", file) for file in outcome.artifacts),
        usage=usage,
        error=_task_error(outcome, usage),
    )
    return ended, TaskEvent(seq, event_type, at)


def with_warnings(task: Task, warnings: tuple[str, ...]) -> Task:
    """Return the task with further warnings, up to a limit."""
    return attrs.evolve(task, warnings=(*task.warnings, *warnings)[:_MAX_WARNINGS])


def _task_error(outcome: Outcome, usage: Usage) -> TaskError | None:
    if outcome.status == "completed":
        return None
    # A status that this version does not know counts as failed.
    default = _DEFAULT_ERRORS.get(outcome.status, _FAILED)
    type_, message = outcome.error or default
    if default is not _FAILED:
        type_ = default[0]
    return TaskError(type_, message, usage.cost if outcome.status == "cost_exceeded" else None)
