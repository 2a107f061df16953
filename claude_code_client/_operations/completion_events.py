"""Reading the stream of a completion, as a operation. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from claude_code_api.models.completion_response import CompletionResponse as GeneratedCompletion

from .._wire import responses as convert
from .._wire.error_bodies import from_detail
from ..errors import APIConnectionError, ClaudeAPIError, StreamInterruptedError, TimeoutError, UnexpectedResponseError
from ..models import CompletionResponse
from .effects import Emit, Operation, Request
from .event_stream import EventReader, error_of, payload


def follow_completion(
    request: Request, *, deadline: float, read_timeout: float, on_reply: Callable[[CompletionResponse], None]
) -> Operation[None]:
    """Emits the reply's text as it is written, then the CompletionResponse; before that one goes ``on_reply``."""
    reader = EventReader()
    yield from reader.open(request, deadline=deadline, read_timeout=read_timeout)
    while True:
        event = yield from _next(reader, deadline)
        match event["type"]:
            case "text_delta":
                yield Emit(_field(event, "text", str))
            case "completion":
                reply = _completion(_field(event, "completion", dict))
                on_reply(reply)
                yield Emit(reply)
                return
            case "error":
                raise from_detail(error_of(event))


def _next(reader: EventReader, deadline: float) -> Operation[dict[str, Any]]:
    problem: ClaudeAPIError | None = None
    try:
        sse = yield from reader.next_event(deadline)
        if sse is not None:
            return payload(sse)
    except (APIConnectionError, TimeoutError) as error:
        problem = error
    if time.monotonic() >= deadline:
        raise TimeoutError(
            "The stream of the completion did not end within its timeout. Give it a larger one.",
            attempts=1,
            outcome_unknown=True,
        )
    reason = problem.message.rstrip(".") if problem else "the server closed it"
    raise StreamInterruptedError(
        f"The stream of the completion was cut before its end: {reason}. Call again.",
        attempts=problem.attempts if problem else 1,
        history=problem.history if problem else ("end of the stream",),
        outcome_unknown=True,
    )


def _field(event: dict[str, Any], name: str, kind: type[Any]) -> Any:
    value = event.get(name)
    if not isinstance(value, kind):
        raise UnexpectedResponseError(f"The stream's event {event['type']!r} has no {name}.")
    return value


def _completion(body: dict[str, Any]) -> CompletionResponse:
    try:
        return convert.completion(GeneratedCompletion.from_dict(body))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"{type(error).__name__}: {error}"
    raise UnexpectedResponseError(f"The stream's completion is not of the documented form: {problem}.")
