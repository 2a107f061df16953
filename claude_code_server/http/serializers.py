"""Serialization of entities through the generated models, so that the contract alone decides their JSON names. No I/O.

Values that the generated models do not know, such as new event types, statuses and error types, pass through unchanged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

import attrs
from claude_code_api import models
from claude_code_api.event_models import TASK_EVENT_MODELS
from claude_code_api.types import UNSET

from ..domain.entities import ERROR, RESULT, Artifact, Task, TaskError, TaskEvent
from ..domain.errors import ApiError
from ..domain.usage import Usage

_ENVELOPE: Final = {
    value: name
    for name, value in models.ThinkingEvent(type_="thinking", timestamp="timestamp", content="content")
    .to_dict()
    .items()
}
_TYPE_NAME: Final = _ENVELOPE["thinking"]
_TIMESTAMP_NAME: Final = _ENVELOPE["timestamp"]
"""JSON names of the fields that all events have."""


class _JsonObject(dict[str, Any]):
    """A JSON object where a generated model expects a nested model."""

    def to_dict(self) -> dict[str, Any]:
        return dict(self)


class _JsonString(str):
    """A string where a generated model may expect a member of an enum."""

    __slots__ = ()

    @property
    def value(self) -> str:
        return str(self)


def serialize_task(task: Task, events: Iterable[TaskEvent], *, truncated: bool = False) -> models.AgenticTaskResponse:
    """Return the response for a task with its events so far. ``truncated`` says that later events are left out."""
    return models.AgenticTaskResponse(
        id=task.id,
        status=models.TaskStatus(task.status),
        description=task.description,
        result=_result(task),
        execution_log=[_log_entry(event) for event in events if not event.terminal],
        execution_log_truncated=truncated or UNSET,
        artifacts=[_artifact(artifact) for artifact in task.artifacts],
        usage=_usage(task.usage),
        error=None if task.error is None else _task_error(task.error),
        created_at=task.created_at,
        completed_at=task.completed_at,
        warnings=list(task.warnings),
    )


def serialize_event(event: TaskEvent, task: Task) -> dict[str, Any]:
    """Return the data of an event. The data of a terminal event comes from ``task``, which must have ended."""
    data: dict[str, Any] = _terminal_event(event, task).to_dict() if event.terminal else _progress_event(event)
    return data


def serialize_error(error: ApiError) -> models.ErrorDetail:
    """Return the body of an error response."""
    return models.ErrorDetail(
        type_=error.type,
        message=error.message,
        param=UNSET if error.param is None else error.param,
        estimated_cost=UNSET if error.estimated_cost is None else error.estimated_cost,
        retry_after=UNSET if error.retry_after is None else error.retry_after,
    )


def _progress_event(event: TaskEvent) -> dict[str, Any]:
    """Return the data of an event, which passes through unchanged if its model cannot express it."""
    model = TASK_EVENT_MODELS.get(event.type)
    if model is not None:
        # A server of another version may have stored other fields.
        with contextlib.suppress(TypeError, AttributeError, ValueError):
            return _modelled_event(event, model)
    return {**event.fields, _TYPE_NAME: event.type, _TIMESTAMP_NAME: event.timestamp}


def _modelled_event(event: TaskEvent, model: Any) -> dict[str, Any]:
    parameters = _parameters(model)
    fields = {name: _for_model(value) for name, value in event.fields.items()}
    known = {parameters[name]: value for name, value in fields.items() if name in parameters}
    serialized = model(type_=event.type, timestamp=event.timestamp, **known)
    serialized.additional_properties = {name: value for name, value in fields.items() if name not in parameters}
    data: dict[str, Any] = serialized.to_dict()
    return data


@cache
def _parameters(model: Any) -> Mapping[str, str]:
    """Return the parameters of a generated model by the names of their fields."""
    # Generated names that would hide a Python builtin end with an underscore.
    return {field.name.rstrip("_"): field.name for field in attrs.fields(model) if field.init}


def _for_model(value: Any) -> Any:
    """Return a JSON value in a form that the methods of generated models accept in place of their own classes."""
    if isinstance(value, Mapping):
        return _JsonObject(value)
    if isinstance(value, list | tuple):
        return [_for_model(item) for item in value]
    return _JsonString(value) if isinstance(value, str) else value


def _terminal_event(event: TaskEvent, task: Task) -> models.ResultEvent | models.ErrorEvent:
    if event.type == ERROR:
        error = task.error or TaskError("server_error", "The task failed.")
        return models.ErrorEvent(
            type_=ERROR, timestamp=event.timestamp, content=error.message, error=_task_error(error)
        )
    return models.ResultEvent(
        type_=RESULT,
        timestamp=event.timestamp,
        content=task.summary or (task.error.message if task.error else task.status),
        status=models.TaskStatus(task.status),
        summary=task.summary,
        result=_result(task),
        artifacts=[_artifact(artifact) for artifact in task.artifacts],
        usage=_usage(task.usage),
        error=None if task.error is None else _task_error(task.error),
        warnings=list(task.warnings),
    )


def _log_entry(event: TaskEvent) -> models.LogEntry:
    entry = models.LogEntry(timestamp=event.timestamp, action=event.type)
    data = _progress_event(event)
    entry.additional_properties = {
        name: value for name, value in data.items() if name not in (_TYPE_NAME, _TIMESTAMP_NAME)
    }
    return entry


def _result(task: Task) -> models.TaskResult:
    result = models.TaskResult(summary=task.summary if task.ended else UNSET)
    result.additional_properties = {name: task.result[name] for name in task.result if name != "summary"}
    return result


def _artifact(artifact: Artifact) -> models.Artifact:
    file = artifact.file
    return models.Artifact(
        id=artifact.id,
        type_=file.type,
        path=file.path,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        created_at=file.created_at,
    )


def _usage(usage: Usage) -> models.TaskUsage:
    return models.TaskUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
        total_cost=usage.cost,
    )


def _task_error(error: TaskError) -> models.ErrorDetail:
    return models.ErrorDetail(
        type_=error.type,
        message=error.message,
        estimated_cost=UNSET if error.estimated_cost is None else error.estimated_cost,
    )
