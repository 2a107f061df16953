"""Routes for completions, whole or streamed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Final, TypeVar

import attrs
from claude_code_api import models
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from ...domain.errors import ApiError, invalid_request
from ...services.completions import IDEMPOTENCY_SCOPE
from ...services.in_flight_completion import InFlightCompletion
from ...services.messages import to_messages_request
from ...services.permission_checks import permitted_model
from ..request import RequestContext
from ..responses import json_response
from ..serializers import serialize_error
from ..sse import PING, encode_event, event_stream

T = TypeVar("T")

_STREAM: Final = "stream"
"""Field by which other APIs choose between a whole reply and a stream."""


async def create_completion(context: RequestContext) -> Response:
    """Return a completion."""
    if (context.body or {}).get(_STREAM):
        path = context.services.contract.url("stream_completion")
        raise invalid_request(f"is not a field of this operation; to stream, use POST {path}.", _STREAM)
    completion = _start_or_find(context, stream=False)
    response = await _while_connected(context, completion, completion.wait())
    return json_response(completion.encoded or response)


async def stream_completion(context: RequestContext) -> Response:
    """Stream a completion. An error before the first text has a status of its own; a later one is an event."""
    completion = _start_or_find(context, stream=True)
    ping_interval = context.services.settings.ping_interval
    await _while_connected(context, completion, completion.wait_started(ping_interval))
    return event_stream(_events(completion, ping_interval, cancel_on_disconnect=not _repeatable(context)))


def _repeatable(context: RequestContext) -> bool:
    """Return whether a later request can receive the same completion."""
    return context.has_idempotency_key


async def _while_connected(
    context: RequestContext, completion: InFlightCompletion, waiting: Coroutine[Any, Any, T]
) -> T:
    """Return the result of ``waiting``. If the caller leaves first, cancel a completion that nobody else can receive.

    Raise ClientDisconnect then.
    """
    if _repeatable(context) or completion.task is None:
        return await waiting
    result = asyncio.ensure_future(waiting)
    disconnected = asyncio.ensure_future(context.wait_disconnected())
    try:
        await asyncio.wait({result, disconnected}, return_when=asyncio.FIRST_COMPLETED)
        if result.done():
            return result.result()
        completion.task.cancel()
        raise ClientDisconnect
    finally:
        for future in (result, disconnected):
            future.cancel()
        await asyncio.gather(result, disconnected, return_exceptions=True)


def _start_or_find(context: RequestContext, *, stream: bool) -> InFlightCompletion:
    completions, tariff = context.services.completions, context.services.tariff

    def choose_model(name: str | None, field: str) -> str:
        return permitted_model(name, context.services.settings.model, tariff, context.caller.permissions, field)

    body = models.CreateCompletionRequest.from_dict(context.body)
    request = to_messages_request(body, context.operation, tariff, choose_model)
    warnings = context.unknown_field_warnings(_STREAM)
    if warnings:
        request = attrs.evolve(request, warnings=(*request.warnings, *warnings))
    key = context.idempotency_key(IDEMPOTENCY_SCOPE)
    known = completions.find(key) if key else None
    if known is not None:
        return known
    context.services.disk_guard.check()
    return completions.start(request, context.owner, key, stream=stream)


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
