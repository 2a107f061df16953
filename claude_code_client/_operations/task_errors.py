"""Task details on exceptions. No I/O."""

from __future__ import annotations

from typing import TypeVar

import attrs

from .._wire.event_cursor import EventCursor
from ..errors import ClaudeAPIError
from ..models import AgenticTaskResponse
from .effects import Operation

T = TypeVar("T")


def about_task(operation: Operation[T], task_id: str, cursor: EventCursor | None = None) -> Operation[T]:
    """Carry out the operation; set the task's id, and the last event received, on the exceptions that it raises."""
    try:
        return (yield from operation)
    except ClaudeAPIError as error:
        add_task(error, task_id, cursor)
        raise


def add_task(
    error: ClaudeAPIError, task_id: str, cursor: EventCursor | None = None, task: AgenticTaskResponse | None = None
) -> None:
    """Set the task's id on the exception, with the last event received and the task as last reported."""
    error.task_id = task_id
    if cursor is not None:
        error.last_event_id = cursor.last_event_id
    if task is not None:
        error.task = without_prompt(task)


def without_prompt(task: AgenticTaskResponse) -> AgenticTaskResponse:
    """Return the task as exceptions carry it: exceptions are logged, and prompts may be confidential."""
    return attrs.evolve(task, description=None)
