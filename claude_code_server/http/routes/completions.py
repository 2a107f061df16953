"""Routes for completions, whole or streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from claude_code_api import models
from starlette.responses import Response

from ...domain.errors import ApiError
from ...services.completions import IDEMPOTENCY_SCOPE
from ...services.in_flight_completion import InFlightCompletion
from ...services.messages import to_messages_request
from ..request import RequestContext
from ..responses import json_response
from ..serializers import serialize_error
from ..sse import PING, encode_event, event_stream


async def create_completion(context: RequestContext) -> Response:
    """Return a completion."""
    completion = _start_or_find(context, stream=False)
    return json_response(await completion.wait())


async def stream_completion(context: RequestContext) -> Response:
    """Stream a completion. An error before the first text has a status of its own; a later one is an event."""
    completion = _start_or_find(context, stream=True)
    ping_interval = context.services.settings.ping_interval
    await completion.wait_started(ping_interval)
    repeatable = context.idempotency_key(IDEMPOTENCY_SCOPE) is not None
    return event_stream(_events(completion, ping_interval, cancel_on_disconnect=not repeatable))


def _start_or_find(context: RequestContext, *, stream: bool) -> InFlightCompletion:
    completions = context.services.completions
    request = to_messages_request(
        models.CreateCompletionRequest.from_dict(context.body),
        context.services.settings.model,
        context.services.tariff,
        context.operation,
    )
    key = context.idempotency_key(IDEMPOTENCY_SCOPE)
    known = completions.find(key) if key else None
    return known or completions.start(request, context.key_hash, key, stream=stream)


async def _events(
    completion: InFlightCompletion, ping_interval: float, *, cancel_on_disconnect: bool
) -> AsyncIterator[bytes]:
    """Yield the encoded events. A completion with an idempotency key continues after its caller disconnects."""
    try:
        async for part in completion.follow(ping_interval):
            if part is None:
                yield PING
            else:
                event = _event(part)
                yield encode_event(event.type_, event.to_dict())
    finally:
        if cancel_on_disconnect and completion.task is not None:
            completion.task.cancel()


def _event(part: str | models.CompletionResponse | ApiError) -> Any:
    if isinstance(part, str):
        return models.TextDeltaEvent(type_="text_delta", text=part)
    if isinstance(part, ApiError):
        return models.CompletionErrorEvent(type_="error", error=serialize_error(part))
    return models.CompletionDoneEvent(type_="completion", completion=part)
