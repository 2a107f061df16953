"""Records as they travel: built from the generated models, so that names on the wire are the contract's. Pure."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from claude_code_api import models
from claude_code_api.types import UNSET

from .engine.base import Spent
from .records import ERROR, RESULT, Artifact, Event, Failure, Task

_EVENTS: Mapping[str, Callable[..., Any]] = {
    "thinking": models.ThinkingEvent,
    "tool_call": lambda *, arguments, **fields: models.ToolCallEvent(
        arguments=models.ToolCallEventToolArguments.from_dict(arguments), **fields
    ),
    "tool_result": models.ToolResultEvent,
    "agent_spawn": models.AgentSpawnEvent,
    "skill_invoke": models.SkillInvokeEvent,
}


def json_bytes(value: Any) -> bytes:
    """JSON in UTF-8. What is not Unicode in it becomes question marks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(errors="replace")


def task_response(task: Task, events: Iterable[Event]) -> models.AgenticTaskResponse:
    """A task as it stands, with its steps so far."""
    return models.AgenticTaskResponse(
        id=task.id,
        status=models.TaskStatus(task.status),
        description=task.description,
        result=_result(task),
        execution_log=[_log_entry(event) for event in events if not event.terminal],
        artifacts=[_artifact(artifact) for artifact in task.artifacts],
        usage=_usage(task.spent),
        error=_error(task.failure),
        created_at=task.created_at,
        completed_at=task.completed_at,
    )


def event_data(event: Event, task: Task) -> dict[str, Any]:
    """What stands in an event's ``data``. ``task`` has ended, if the event is a terminal one."""
    data: dict[str, Any] = (_terminal(event, task) if event.terminal else _step(event)).to_dict()
    return data


def _step(event: Event) -> Any:
    return _EVENTS[event.type](type_=event.type, timestamp=event.timestamp, **event.fields)


def _terminal(event: Event, task: Task) -> models.ResultEvent | models.ErrorEvent:
    if event.type == ERROR:
        failure = task.failure or Failure("server_error", "The task failed.")
        return models.ErrorEvent(
            type_=ERROR, timestamp=event.timestamp, content=failure.message, error=_detail(failure)
        )
    return models.ResultEvent(
        type_=RESULT,
        timestamp=event.timestamp,
        content=task.summary or (task.failure.message if task.failure else task.status),
        status=models.TaskStatus(task.status),
        summary=task.summary,
        result=_result(task),
        artifacts=[_artifact(artifact) for artifact in task.artifacts],
        usage=_usage(task.spent),
        error=_error(task.failure),
    )


_ENVELOPE = [
    name
    for name, value in models.ThinkingEvent(type_="thinking", timestamp="", content="-").to_dict().items()
    if value != "-"
]
"""What the type and the timestamp of an event are called on the wire."""


def _log_entry(event: Event) -> models.LogEntry:
    entry = models.LogEntry(timestamp=event.timestamp, action=event.type)
    fields = _step(event).to_dict()
    entry.additional_properties = {name: fields[name] for name in fields if name not in _ENVELOPE}
    return entry


def _result(task: Task) -> models.TaskResult:
    result = models.TaskResult(summary=task.summary if task.ended else UNSET)
    result.additional_properties = {name: task.result[name] for name in task.result if name != "summary"}
    return result


def _artifact(artifact: Artifact) -> models.Artifact:
    found = artifact.found
    return models.Artifact(
        id=artifact.id,
        type_=found.type,
        path=found.path,
        size_bytes=found.size_bytes,
        sha256=found.sha256,
        created_at=found.created_at,
    )


def _usage(spent: Spent) -> models.TaskUsage:
    return models.TaskUsage(
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        total_tokens=spent.input_tokens + spent.output_tokens,
        total_cost=spent.cost,
    )


def _error(failure: Failure | None) -> models.ErrorDetail | None:
    return None if failure is None else _detail(failure)


def _detail(failure: Failure) -> models.ErrorDetail:
    cost = failure.estimated_cost
    return models.ErrorDetail(
        type_=failure.type, message=failure.message, estimated_cost=UNSET if cost is None else cost
    )
