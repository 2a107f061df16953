"""Conversion of the generated response classes to the public models. No I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from enum import Enum
from functools import cache
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
    KeyLimits,
    ModelInfo,
    ModelUsage,
    Usage,
    UsageReport,
)
from .error_bodies import shorten_body
from .field_checks import FieldError, checked, is_amount

R = TypeVar("R")
T = TypeVar("T")

PARSE_ERRORS: Final = (KeyError, TypeError, ValueError, AttributeError, RecursionError)
"""Exceptions that generated code raises for a body that does not follow the contract."""
_NOT_DOCUMENTED: Final = "it does not have the documented form"
_AMOUNTS: Final = ("input_tokens", "output_tokens", "total_tokens", "total_cost")
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
        response: The response.
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
        case FieldError():
            return str(error)
        case KeyError():
            return f"the field {error} is missing"
        case json.JSONDecodeError() | UnicodeDecodeError():
            return "it is not JSON"
        case _:
            return _NOT_DOCUMENTED


def unexpected_response(response: Any, problem: str) -> UnexpectedResponseError:
    """Return the exception for a successful response that does not follow the contract."""
    content_type = response.headers.get("Content-Type", "no content type")
    return UnexpectedResponseError(
        f"Cannot use the response with status {response.status_code}: {problem} ({content_type}). "
        "Check that base_url points to a Claude Code API, and any proxy in between.",
        status_code=response.status_code,
        request_id=response.headers.get("X-Request-Id"),
        body=shorten_body(response.content),
        attempts=response.extensions["attempts"],
    )


@attrs.frozen(eq=False)
class _Adapted:
    """Part of a response that _parse_response reads, with another body."""

    status_code: int
    body: Any

    def json(self) -> Any:
        return self.body


def completion(response: generated.CompletionResponse) -> CompletionResponse:
    """Return the model of a completion."""
    return checked(
        CompletionResponse(
            id=response.id,
            content=_text(response.content),
            model=response.model,
            stop_reason=_or_none(response.stop_reason),
            stop_sequence=_or_none(response.stop_sequence),
            usage=_usage(response.usage, response.usage.cost),
            warnings=_warnings(response),
            # Constants of the Messages format, of no use to users.
            extra=_extra(response, CompletionResponse, omit={"type", "role"}),
        )
    )


def task(response: generated.AgenticTaskResponse) -> AgenticTaskResponse:
    """Return the model of a task."""
    error = _or_none(response.error)
    return checked(
        AgenticTaskResponse(
            id=response.id,
            status=_plain(response.status),
            description=_or_none(response.description),
            result=response.result.to_dict(),
            execution_log=[entry.to_dict() for entry in response.execution_log],
            artifacts=[_artifact(artifact) for artifact in response.artifacts],
            usage=_usage(response.usage, response.usage.total_cost),
            error=error.to_dict() if error is not None else None,
            created_at=response.created_at,
            completed_at=_or_none(response.completed_at),
            warnings=_warnings(response),
            extra=_extra(response, AgenticTaskResponse),
        )
    )


def task_after(known: AgenticTaskResponse, event: generated.ResultEvent) -> AgenticTaskResponse:
    """Return ``known`` as updated by the terminal event of the task."""
    error = _or_none(event.error)
    return checked(
        attrs.evolve(
            known,
            status=_plain(event.status),
            result=event.result.to_dict(),
            artifacts=[_artifact(artifact) for artifact in event.artifacts],
            usage=_usage(event.usage, event.usage.total_cost),
            error=error.to_dict() if error is not None else None,
            completed_at=event.timestamp,
            warnings=_warnings(event),
        )
    )


def terminal_event(task: AgenticTaskResponse) -> dict[str, Any]:
    """Return the terminal event of an ended task, for a server that streams no events."""
    summary = str(task.result.get("summary", ""))
    event: dict[str, Any] = {"timestamp": task.completed_at or ""}
    if task.status in ("timeout", "cost_exceeded"):
        # The status decides: errors of older servers have no type.
        error = {"message": f"The task ended with status {task.status}."} | (task.error or {})
        error |= {"type": f"{task.status}_error"}
        return {"type": "error", **event, "content": error["message"], "error": error}
    ended = task.to_dict()
    fields = {name: ended[name] for name in ("status", "result", "artifacts", "usage", "error")}
    return {"type": "result", **event, "content": summary, "summary": summary, **fields}


def check_result_event(event: dict[str, Any]) -> None:
    """Raise UnexpectedResponseError if a ``result`` event states a cost or tokens that cannot be."""
    usage = event.get("usage")
    amounts = usage.items() if isinstance(usage, dict) else ()
    for name, value in amounts:
        if name in _AMOUNTS and not is_amount(value):
            raise UnexpectedResponseError(
                f"Cannot use the result event of the stream: the field {name} has a value that is not allowed. "
                "Check that base_url points to a Claude Code API, and any proxy in between."
            )


@attrs.frozen(eq=False)
class TaskPage:
    """One page of ``list_tasks``."""

    tasks: list[AgenticTaskResponse]
    next_cursor: str | None


def task_page(response: generated.TaskList) -> TaskPage:
    """Return one page of a list of tasks."""
    return checked(TaskPage([task(item) for item in response.data], response.next_cursor))


def models(response: generated.ModelList) -> list[ModelInfo]:
    """Return the models that the server offers."""
    return [_model(item) for item in response.data]


def _model(response: generated.Model) -> ModelInfo:
    return checked(
        ModelInfo(
            id=_plain(response.id),
            alias=_plain(response.alias),
            input_price=response.input_price,
            output_price=response.output_price,
            long_context_over=_or_none(response.long_context_over),
            long_context_input_price=_or_none(response.long_context_input_price),
            long_context_output_price=_or_none(response.long_context_output_price),
            context_window=response.context_window,
            max_output_tokens=response.max_output_tokens,
            default=response.default,
            extra=_extra(response, ModelInfo),
        )
    )


def usage_report(response: generated.UsageReport) -> UsageReport:
    """Return the model of a usage report."""
    return checked(
        UsageReport(
            period=_plain(response.period),
            start=response.start,
            end=response.end,
            usage=_flat_usage(response),
            limit=response.limit,
            remaining=response.remaining,
            models=[
                checked(
                    ModelUsage(
                        model=_plain(row.model),
                        requests=row.requests,
                        usage=_flat_usage(row),
                        extra=_extra(row, ModelUsage, Usage),
                    )
                )
                for row in response.models
            ],
            extra=_extra(response, UsageReport, Usage),
        )
    )


def capabilities(response: generated.Capabilities) -> Capabilities:
    """Return the model of the tools, agents and skills that a key may use."""

    def each(items: list[generated.Capability]) -> list[Capability]:
        return [
            checked(Capability(name=_plain(item.name), description=item.description, extra=_extra(item, Capability)))
            for item in items
        ]

    return checked(
        Capabilities(
            tools=each(response.tools),
            agents=each(response.agents),
            skills=each(response.skills),
            limits=_key_limits(response.limits),
            extra=_extra(response, Capabilities),
        )
    )


def _key_limits(response: generated.KeyLimits | Unset) -> KeyLimits:
    if isinstance(response, Unset):
        return KeyLimits()
    return checked(
        KeyLimits(
            requests_per_minute=_or_none(response.requests_per_minute),
            tasks_at_once=_or_none(response.tasks_at_once),
            max_timeout=_or_none(response.max_timeout),
            max_cost=_or_none(response.max_cost),
            day_budget=_or_none(response.day_budget),
            month_budget=_or_none(response.month_budget),
            extra=_extra(response, KeyLimits),
        )
    )


def health(response: generated.Health) -> Health:
    """Return the model of the server's state."""
    return checked(
        Health(
            status=_plain(response.status),
            version=response.version,
            engine=_plain(response.engine),
            upstream=_or_none(response.upstream),
            spec_version=response.spec_version,
            extra=_extra(response, Health),
        )
    )


def _artifact(response: generated.Artifact) -> Artifact:
    return checked(
        Artifact(
            id=response.id,
            type=_plain(response.type_),
            path=response.path,
            size_bytes=response.size_bytes,
            sha256=response.sha256,
            created_at=response.created_at,
            extra=_extra(response, Artifact),
        )
    )


def _warnings(
    response: generated.CompletionResponse | generated.AgenticTaskResponse | generated.ResultEvent,
) -> list[str]:
    return [] if isinstance(response.warnings, Unset) else response.warnings


def _text(content: list[generated.TextBlock] | str) -> str:
    return content if isinstance(content, str) else "".join(block.text for block in content if block.type_ == "text")


def _usage(response: generated.CompletionUsage | generated.TaskUsage, cost: float) -> Usage:
    return checked(
        Usage(
            input_tokens=response.input_tokens,
            output_tokens=response.output_tokens,
            total_tokens=response.total_tokens,
            cost=cost,
            extra=_extra(response, Usage),
        )
    )


def _flat_usage(response: generated.UsageReport | generated.ModelUsage) -> Usage:
    """Return the usage that a report has among its own fields."""
    return checked(
        Usage(
            input_tokens=response.input_tokens,
            output_tokens=response.output_tokens,
            total_tokens=response.total_tokens,
            cost=response.cost,
        )
    )


class _Generated(Protocol):
    additional_properties: dict[str, Any]

    def to_dict(self) -> dict[str, Any]: ...


def _extra(response: _Generated, *models: type, omit: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields, by their JSON names and as JSON types, that none of the models has an attribute for.

    The result has every field that the contract gains, whether or not the generated class has an attribute for it yet.
    """
    named, covers_all = _named(type(response), models, frozenset(omit))
    # to_dict() converts all fields for the sake of the few that are left.
    values = response.additional_properties if covers_all else response.to_dict()
    return {name: value for name, value in values.items() if name not in named} if values else {}


@cache
def _named(response: type, models: tuple[type, ...], omit: frozenset[str]) -> tuple[frozenset[str], bool]:
    """Return the JSON names that the models have attributes for, and whether these are all attributes of a response."""
    named = {*omit, *(field.name for model in models for field in attrs.fields(model) if field.name != "extra")}
    if Usage in models:
        named.add("total_cost")
    # Generated code appends an underscore to a name that Python reserves.
    attributes = {field.name.removesuffix("_") for field in attrs.fields(response)} - {"additional_properties"}
    return frozenset(named), attributes <= named


def _or_none(value: T | Unset | None) -> T | None:
    return None if isinstance(value, Unset) else _plain(value)


def _plain(value: T) -> T:
    """Return a plain str for a member of a generated enum, which is a str too, and any other value unchanged."""
    return cast("T", value.value) if isinstance(value, Enum) else value
