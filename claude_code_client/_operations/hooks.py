"""Hooks: functions of the caller that a client calls for each request, response and event.

What they are given holds neither the key nor the body of a request, so that a hook may log it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from claude_code_common.rate_limit import RateLimit

from .._wire.requests import check_callback
from ..models import CompletionResponse, TaskEvent
from .effects import Emit


@attrs.frozen(kw_only=True)
class RequestInfo:
    """An HTTP request that is about to be sent, as a hook sees it."""

    method: str
    """``GET`` or ``POST``."""
    path: str
    """Path of the URL, without the query."""
    attempt: int
    """1 for the first request of a call, 2 for its first retry."""
    idempotency_key: str | None = None
    """Key that all attempts of a call share, if it has one."""


@attrs.frozen(kw_only=True)
class ResponseInfo:
    """Outcome of one HTTP request, as a hook sees it."""

    request: RequestInfo
    """The request."""
    status_code: int | None
    """Status of the response; None if there was none."""
    failure: str | None = None
    """Type of the failure if there was no response, such as ``ConnectError``; else None."""
    elapsed: float
    """Seconds from the start of the request to the end of the response; for a stream, to its start."""
    request_id: str | None = None
    """``X-Request-Id`` of the response, for reports to the server's operator."""
    rate_limit: RateLimit | None = None
    """Rest of the server's rate limit, if the response states it."""


@attrs.frozen(kw_only=True)
class EventInfo:
    """Event of a stream, as a hook sees it."""

    type: str
    """``type`` of a task's event; for a streamed completion, ``text_delta`` or ``completion``."""
    task_id: str | None = None
    """ID of the task; None for a completion."""
    event: TaskEvent | CompletionResponse | str = attrs.field(repr=False)
    """Value that the stream yields: an event, a piece of text, or the completion at the end."""


OnRequest = Callable[[RequestInfo], object]
OnResponse = Callable[[ResponseInfo], object]
OnEvent = Callable[[EventInfo], object]


@attrs.frozen(kw_only=True)
class Hooks:
    """The hooks of one client."""

    on_request: OnRequest | None = None
    on_response: OnResponse | None = None
    on_event: OnEvent | None = None


def hooks(
    on_request: OnRequest | None, on_response: OnResponse | None, on_event: OnEvent | None, *, may_be_async: bool
) -> Hooks:
    """Return the hooks of a client. Raises InvalidRequestError for what cannot be called."""
    for name, hook in (("on_request", on_request), ("on_response", on_response), ("on_event", on_event)):
        check_callback(name, hook, may_be_async=may_be_async)
    return Hooks(on_request=on_request, on_response=on_response, on_event=on_event)


def event_info(emit: Emit) -> EventInfo | None:
    """Return what a hook is told of a value that an operation emits; None for one that is no event."""
    value: Any = emit.value
    if isinstance(value, dict):
        event: Any = value
        return EventInfo(type=event["type"], task_id=emit.task_id, event=event)
    if isinstance(value, str):
        return EventInfo(type="text_delta", event=value)
    return EventInfo(type="completion", event=value) if isinstance(value, CompletionResponse) else None
