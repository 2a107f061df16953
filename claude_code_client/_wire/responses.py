"""Conversion of the generated response classes to the public models. No I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from enum import Enum
from typing import Any, Final, Protocol, TypeVar, cast

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

PARSE_ERRORS: Final = (KeyError, TypeError, ValueError, AttributeError, RecursionError)
"""Exceptions that generated code raises for a body that does not follow the contract."""
_NOT_DOCUMENTED: Final = "it does not have the documented form"
# _parse_response takes a client only to find out how to treat undocumented statuses.
_PARSER: Final = Client(base_url="")


def parse(
    endpoint: Any,
    response: Any,
    expected: type[R],
    convert: Callable[[R], T],
    *,
    adapt: Callable[[Any], Any] | None = None,
) -> T:
    """Return the body of a successful response as a model.

    Args:
        endpoint: Module of the generated endpoint.
        response: The httpx response.
        expected: Generated class of the body.
        convert: Converts an ``expected`` to the model.
        adapt: Converts a decoded body to the contract's form first, for the legacy service.

    Raises:
        UnexpectedResponseError: The body does not follow the contract: HTML, broken JSON, missing fields.
    """
    problem = _NOT_DOCUMENTED
    try:
        readable = response if adapt is None else _Adapted(response.status_code, adapt(response.json()))
        parsed = endpoint._parse_response(client=_PARSER, response=readable)
        if isinstance(parsed, expected):
            return convert(parsed)
    except PARSE_ERRORS as error:
        problem = describe_parse_error(error)
    raise unexpected_response(response, problem)


def describe_parse_error(error: Exception) -> str:
    """Return what is wrong with a body for which generated code raised one of PARSE_ERRORS."""
    match error:
        case KeyError():
            return f"the field {error} is missing"
        case json.JSONDecodeError() | UnicodeDecodeError():
            return "it is not JSON"
        case _:
            return _NOT_DOCUMENTED


def unexpected_response(response: Any, problem: str) -> UnexpectedResponseError:
    """Return the exception for a successful httpx response that does not follow the contract."""
    content_type = response.headers.get("Content-Type", "no content type")
    return UnexpectedResponseError(
        f"Cannot use the response with status {response.status_code}: {problem} ({content_type}). "
        "Check that base_url points to a Claude Code API, and any proxy in between.",
        status_code=response.status_code,
        request_id=response.headers.get("X-Request-Id"),
        body=shorten_body(response.content),
        attempts=response.extensions["attempts"],
    )


@attrs.frozen
class _Adapted:
    """Part of an httpx response that _parse_response reads, with another body."""

    status_code: int
    body: Any

    def json(self) -> Any:
        return self.body


def completion(response: generated.CompletionResponse) -> CompletionResponse:
    """Return the model of a completion."""
    return CompletionResponse(
        id=_checked(str, response.id),
        content=_text(response.content),
        model=_checked(str, response.model),
        stop_reason=_or_none(response.stop_reason),
        stop_sequence=_or_none(response.stop_sequence),
        usage=_usage(response.usage, response.usage.cost),
        warnings=response.warnings if not isinstance(response.warnings, Unset) else [],
        # Constants of the Messages format, of no use to users.
        extra=_extra(response, CompletionResponse, omit={"type", "role"}),
    )


def task(response: generated.AgenticTaskResponse) -> AgenticTaskResponse:
    """Return the model of a task."""
    error = _or_none(response.error)
    return AgenticTaskResponse(
        id=_checked(str, response.id),
        status=_plain(response.status),
        description=_or_none(response.description),
        result=response.result.to_dict(),
        execution_log=[entry.to_dict() for entry in response.execution_log],
        artifacts=[_artifact(artifact) for artifact in response.artifacts],
        usage=_usage(response.usage, response.usage.total_cost),
        error=error.to_dict() if error is not None else None,
        created_at=_checked(str, response.created_at),
        completed_at=_checked(str | None, _or_none(response.completed_at)),
        warnings=response.warnings if not isinstance(response.warnings, Unset) else [],
        extra=_extra(response, AgenticTaskResponse),
    )


def task_after(known: AgenticTaskResponse, event: generated.ResultEvent) -> AgenticTaskResponse:
    """Return ``known`` as updated by the terminal event of the task."""
    error = _or_none(event.error)
    return attrs.evolve(
        known,
        status=_plain(event.status),
        result=event.result.to_dict(),
        artifacts=[_artifact(artifact) for artifact in event.artifacts],
        usage=_usage(event.usage, event.usage.total_cost),
        error=error.to_dict() if error is not None else None,
        completed_at=event.timestamp,
        warnings=event.warnings if not isinstance(event.warnings, Unset) else [],
    )


@attrs.frozen
class TaskPage:
    """One page of ``list_tasks``."""

    tasks: list[AgenticTaskResponse]
    next_cursor: str | None


def task_page(response: generated.TaskList) -> TaskPage:
    """Return one page of a list of tasks."""
    return TaskPage([task(item) for item in response.data], _checked(str | None, response.next_cursor))


def models(response: generated.ModelList) -> list[ModelInfo]:
    """Return the models that the server offers."""
    return [_model(item) for item in response.data]


def _model(response: generated.Model) -> ModelInfo:
    return ModelInfo(
        id=_plain(response.id),
        alias=_plain(response.alias),
        input_price=response.input_price,
        output_price=response.output_price,
        context_window=response.context_window,
        max_output_tokens=response.max_output_tokens,
        default=response.default,
        extra=_extra(response, ModelInfo),
    )


def usage_report(response: generated.UsageReport) -> UsageReport:
    """Return the model of a usage report."""
    return UsageReport(
        period=_plain(response.period),
        start=response.start,
        end=response.end,
        usage=_flat_usage(response),
        limit=response.limit,
        remaining=response.remaining,
        models=[
            ModelUsage(
                model=_plain(row.model),
                requests=row.requests,
                usage=_flat_usage(row),
                extra=_extra(row, ModelUsage, Usage),
            )
            for row in response.models
        ],
        extra=_extra(response, UsageReport, Usage),
    )


def capabilities(response: generated.Capabilities) -> Capabilities:
    """Return the model of the tools, agents and skills that a key may use."""

    def each(items: list[generated.Capability]) -> list[Capability]:
        return [
            Capability(name=_plain(item.name), description=item.description, extra=_extra(item, Capability))
            for item in items
        ]

    return Capabilities(
        tools=each(response.tools),
        agents=each(response.agents),
        skills=each(response.skills),
        extra=_extra(response, Capabilities),
    )


def health(response: generated.Health) -> Health:
    """Return the model of the server's state."""
    return Health(
        status=_plain(response.status),
        version=response.version,
        engine=_plain(response.engine),
        upstream=_or_none(response.upstream),
        spec_version=response.spec_version,
        extra=_extra(response, Health),
    )


def _artifact(response: generated.Artifact) -> Artifact:
    return Artifact(
        id=_checked(str, response.id),
        type=_plain(response.type_),
        path=_checked(str, response.path),
        size_bytes=_checked(int, response.size_bytes),
        sha256=_checked(str | None, response.sha256),
        created_at=response.created_at,
        extra=_extra(response, Artifact),
    )


def _text(content: list[generated.TextBlock] | str) -> str:
    return content if isinstance(content, str) else "".join(block.text for block in content if block.type_ == "text")


def _usage(response: generated.CompletionUsage | generated.TaskUsage, cost: float) -> Usage:
    return Usage(
        input_tokens=_checked(int, response.input_tokens),
        output_tokens=_checked(int, response.output_tokens),
        total_tokens=_checked(int, response.total_tokens),
        cost=_checked(int | float, cost),
        extra=_extra(response, Usage),
    )


def _flat_usage(response: generated.UsageReport | generated.ModelUsage) -> Usage:
    """Return the usage that a report has among its own fields."""
    return Usage(
        input_tokens=response.input_tokens,
        output_tokens=response.output_tokens,
        total_tokens=response.total_tokens,
        cost=response.cost,
    )


class _Generated(Protocol):
    def to_dict(self) -> dict[str, Any]: ...


def _extra(response: _Generated, *models: type, omit: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields, by their JSON names and as JSON types, that none of the models has an attribute for.

    The result has every field that the contract gains, whether or not the generated class has an attribute for it yet.
    """
    named = {*omit, *(field.name for model in models for field in attrs.fields(model) if field.name != "extra")}
    if Usage in models:
        named.add("total_cost")
    return {name: value for name, value in response.to_dict().items() if name not in named}


def _checked(kind: Any, value: T) -> T:
    """Return a value of the annotated type. Generated code does not check what the server sent."""
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} instead of {kind}")
    return _plain(value)


def _or_none(value: T | Unset | None) -> T | None:
    return None if isinstance(value, Unset) else _plain(value)


def _plain(value: T) -> T:
    """Return a plain str for a member of a generated enum, which is a str too, and any other value unchanged."""
    return cast("T", value.value) if isinstance(value, Enum) else value
