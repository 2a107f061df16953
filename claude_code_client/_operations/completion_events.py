"""Event stream of one completion. No I/O."""

from __future__ import annotations

import time
from typing import Any

from claude_code_api import models as generated

from .._wire import responses
from .._wire.error_bodies import from_detail
from .._wire.response_headers import with_headers
from ..errors import (
    APIConnectionError,
    ClaudeAPIError,
    ClosedError,
    StreamInterruptedError,
    TimeoutError,
    UnexpectedResponseError,
)
from ..models import CompletionResponse
from .effects import Delivery, Emit, Operation, Request
from .event_stream import EventReader, error_detail, payload


def follow_completion(
    request: Request, *, deadline: float, read_timeout: float, delivery: Delivery
) -> Operation[CompletionResponse]:
    """Emit the text of a completion as it is written; return the completion."""
    reader = EventReader()
    yield from reader.open(request, deadline=deadline, read_timeout=read_timeout, delivery=delivery)
    while True:
        try:
            event = yield from _next_event(reader, deadline)
        except ClosedError as error:
            # The server has run the completion, or is still running it.
            error.outcome_unknown = True
            raise
        match event["type"]:
            case "text_delta":
                yield Emit(_field(event, "text", str))
            case "completion":
                completion = _completion(_field(event, "completion", dict))
                return completion if reader.head is None else with_headers(completion, reader.head.headers)
            case "error":
                raise from_detail(error_detail(event))


def _next_event(reader: EventReader, deadline: float) -> Operation[dict[str, Any]]:
    interruption: ClaudeAPIError | None = None
    try:
        sse = yield from reader.next_event(deadline)
        if sse is not None:
            return payload(sse)
    except (APIConnectionError, TimeoutError) as error:
        interruption = error
    if time.monotonic() >= deadline:
        raise TimeoutError(
            "The stream of the completion did not end within its timeout. Pass a larger timeout.",
            attempts=1,
            outcome_unknown=True,
        )
    reason = interruption.message.rstrip(".") if interruption else "the server closed it"
    raise StreamInterruptedError(
        f"The stream of the completion ended early: {reason}. Request the completion again.",
        attempts=interruption.attempts if interruption else 1,
        history=interruption.history if interruption else ("end of the stream",),
        outcome_unknown=True,
    )


def _field(event: dict[str, Any], name: str, kind: type[Any]) -> Any:
    value = event.get(name)
    if not isinstance(value, kind):
        raise UnexpectedResponseError(f"Event {event['type']!r} of the stream has no {name}.")
    return value


def _completion(body: dict[str, Any]) -> CompletionResponse:
    try:
        return responses.completion(generated.CompletionResponse.from_dict(body))
    except responses.PARSE_ERRORS as error:
        problem = f"{type(error).__name__}: {error}"
    raise UnexpectedResponseError(f"The completion in the stream does not match the API contract: {problem}.")
