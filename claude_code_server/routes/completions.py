"""One reply to a conversation, whole or as it is written."""

from collections.abc import AsyncIterator
from typing import Any

from claude_code_api import models
from starlette.responses import Response

from claude_code_server.call import Call
from claude_code_server.completions import messages_request
from claude_code_server.errors import ApiError
from claude_code_server.event_stream import PING, encode, event_stream
from claude_code_server.generations import SCOPE, Generation

from .answers import answer


async def create_completion(call: Call) -> Response:
    generation = _generation(call, stream=False)
    return answer(await generation.reply())


async def stream_completion(call: Call) -> Response:
    generation = _generation(call, stream=True)
    ping = call.services.settings.ping_interval
    await generation.started(ping)
    return event_stream(_events(generation, ping, alone=call.claim(SCOPE) is None))


def _generation(call: Call, *, stream: bool) -> Generation:
    generations = call.services.generations
    asked = messages_request(
        models.CreateCompletionRequest.from_dict(call.body),
        call.services.settings.model,
        call.operation.field("messages"),
    )
    claim = call.claim(SCOPE)
    known = generations.find(claim) if claim else None
    return known or generations.start(asked, call.key, claim, stream=stream)


async def _events(generation: Generation, ping: float, *, alone: bool) -> AsyncIterator[bytes]:
    """A reply that can be asked for again is worked on to its end, even when the caller has left."""
    try:
        async for part in generation.follow(ping):
            if part is None:
                yield PING
            else:
                event = _event(part)
                yield encode(event.type_, event.to_dict())
    finally:
        if alone and generation.working is not None:
            generation.working.cancel()


def _event(part: str | models.CompletionResponse | ApiError) -> Any:
    if isinstance(part, str):
        return models.TextDeltaEvent(type_="text_delta", text=part)
    if isinstance(part, ApiError):
        return models.CompletionErrorEvent(type_="error", error=part.detail())
    return models.CompletionDoneEvent(type_="completion", completion=part)
