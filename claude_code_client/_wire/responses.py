"""Generated responses → what users hold. No I/O."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, TypeVar

import attrs
from claude_code_api import Client
from claude_code_api import models as generated
from claude_code_api.types import Unset

from ..errors import UnexpectedResponseError
from ..models import (
    AgenticTaskResponse,
    Artifact,
    Capabilities,
    Capability,
    CompletionResponse,
    Health,
    ModelInfo,
    ModelUsage,
    Usage,
    UsageReport,
)
from .error_bodies import shorten_body

R = TypeVar("R")
T = TypeVar("T")

# _parse_response wants a client and asks it one thing: what to do with an undocumented status.
_PARSER = Client(base_url="")


def parse(
    endpoint: Any,
    response: Any,
    wanted: type[R],
    convert: Callable[[R], T],
    *,
    adapt: Callable[[Any], Any] | None = None,
) -> T:
    """The body of a successful response, as what users hold. ``adapt`` puts an older form into the contract's.

    Raises UnexpectedResponseError where it is not what the contract says: HTML, broken JSON, missing fields.
    """
    problem = _WRONG_FORM
    try:
        readable = response if adapt is None else _Adapted(response.status_code, adapt(response.json()))
        parsed = endpoint._parse_response(client=_PARSER, response=readable)
        if isinstance(parsed, wanted):
            return convert(parsed)
    except MISREADINGS as error:
        problem = what_is_wrong(error)
    raise unexpected(response, problem)


_WRONG_FORM: Final = "it is not of the documented form"
MISREADINGS: Final = (KeyError, TypeError, ValueError, AttributeError, RecursionError)
"""What generated code raises for a body that is not of its form."""


def what_is_wrong(misreading: Exception) -> str:
    match misreading:
        case KeyError():
            return f"the field {misreading} is missing"
        case json.JSONDecodeError() | UnicodeDecodeError():
            return "it is not JSON"
        case _:
            return _WRONG_FORM


def unexpected(response: Any, problem: str) -> UnexpectedResponseError:
    """The exception for a successful response that cannot be understood."""
    kind = response.headers.get("Content-Type", "no content type")
    return UnexpectedResponseError(
        f"The answer with status {response.status_code} cannot be understood: {problem} ({kind}). "
        "Check that base_url is a Claude Code API, and what proxies are on the way.",
        status_code=response.status_code,
        request_id=response.headers.get("X-Request-Id"),
        body=shorten_body(response.content),
        attempts=response.extensions["attempts"],
    )


@attrs.frozen
class _Adapted:
    """As much of a response as _parse_response reads."""

    status_code: int
    body: Any

    def json(self) -> Any:
        return self.body


def completion(reply: generated.CompletionResponse) -> CompletionResponse:
    return CompletionResponse(
        id=_is(str, reply.id),
        content=_text(reply.content),
        model=_is(str, reply.model),
        stop_reason=_or_none(reply.stop_reason),
        stop_sequence=_or_none(reply.stop_sequence),
        usage=_usage(reply.usage, reply.usage.cost),
        warnings=reply.warnings if not isinstance(reply.warnings, Unset) else [],
        extra=reply.additional_properties,
    )


def task(reply: generated.AgenticTaskResponse) -> AgenticTaskResponse:
    error = _or_none(reply.error)
    return AgenticTaskResponse(
        id=_is(str, reply.id),
        status=str(reply.status),
        description=_or_none(reply.description),
        result=reply.result.to_dict(),
        execution_log=[entry.to_dict() for entry in reply.execution_log],
        artifacts=[_artifact(artifact) for artifact in reply.artifacts],
        usage=_usage(reply.usage, reply.usage.total_cost),
        error=error.to_dict() if error is not None else None,
        created_at=_is(str, reply.created_at),
        completed_at=_is(str | None, _or_none(reply.completed_at)),
        extra=reply.additional_properties,
    )


def task_after(known: AgenticTaskResponse, event: generated.ResultEvent) -> AgenticTaskResponse:
    """What is known of a task once its last event has come."""
    error = _or_none(event.error)
    return attrs.evolve(
        known,
        status=str(event.status),
        result=event.result.to_dict(),
        artifacts=[_artifact(artifact) for artifact in event.artifacts],
        usage=_usage(event.usage, event.usage.total_cost),
        error=error.to_dict() if error is not None else None,
        completed_at=event.timestamp,
    )


@attrs.frozen
class TaskPage:
    """One page of ``list_tasks``."""

    tasks: list[AgenticTaskResponse]
    next_cursor: str | None


def task_page(reply: generated.TaskList) -> TaskPage:
    return TaskPage([task(item) for item in reply.data], _is(str | None, reply.next_cursor))


def models(reply: generated.ModelList) -> list[ModelInfo]:
    return [model(item) for item in reply.data]


def model(reply: generated.Model) -> ModelInfo:
    return ModelInfo(
        id=reply.id,
        alias=reply.alias,
        input_price=reply.input_price,
        output_price=reply.output_price,
        context_window=reply.context_window,
        max_output_tokens=reply.max_output_tokens,
        default=reply.default,
        extra=reply.additional_properties,
    )


def usage_report(reply: generated.UsageReport) -> UsageReport:
    return UsageReport(
        period=str(reply.period),
        start=reply.start,
        end=reply.end,
        usage=_tokens(reply),
        limit=reply.limit,
        remaining=reply.remaining,
        models=[
            ModelUsage(model=row.model, requests=row.requests, usage=_tokens(row), extra=row.additional_properties)
            for row in reply.models
        ],
        extra=reply.additional_properties,
    )


def capabilities(reply: generated.Capabilities) -> Capabilities:
    def each(items: list[generated.Capability]) -> list[Capability]:
        return [
            Capability(name=item.name, description=item.description, extra=item.additional_properties) for item in items
        ]

    return Capabilities(
        tools=each(reply.tools),
        agents=each(reply.agents),
        skills=each(reply.skills),
        extra=reply.additional_properties,
    )


def health(reply: generated.Health) -> Health:
    return Health(
        status=reply.status,
        version=reply.version,
        engine=reply.engine,
        upstream=_or_none(reply.upstream),
        spec_version=reply.spec_version,
        extra=reply.additional_properties,
    )


def _artifact(reply: generated.Artifact) -> Artifact:
    return Artifact(
        id=_is(str, reply.id),
        type=reply.type_,
        path=_is(str, reply.path),
        size_bytes=_is(int, reply.size_bytes),
        sha256=_is(str | None, reply.sha256),
        created_at=reply.created_at,
        extra=reply.additional_properties,
    )


def _text(content: list[generated.TextBlock] | str) -> str:
    return content if isinstance(content, str) else "".join(block.text for block in content if block.type_ == "text")


def _usage(reply: generated.CompletionUsage | generated.TaskUsage, cost: float) -> Usage:
    return Usage(
        input_tokens=_is(int, reply.input_tokens),
        output_tokens=_is(int, reply.output_tokens),
        total_tokens=_is(int, reply.total_tokens),
        cost=_is(int | float, cost),
        extra=reply.additional_properties,
    )


def _tokens(reply: generated.UsageReport | generated.ModelUsage) -> Usage:
    return Usage(
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        total_tokens=reply.total_tokens,
        cost=reply.cost,
    )


def _is(kind: Any, value: T) -> T:
    """The value, if it is what the generated code takes it for; it believes the server."""
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} instead of {kind}")
    return value


def _or_none(value: T | Unset | None) -> T | None:
    return None if isinstance(value, Unset) else value
