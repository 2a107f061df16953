"""Responses with server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from claude_code_common import sse

from ..domain.json_values import encode_json

_LINE_SEPARATORS: Final = {character.encode(): rf"\u{ord(character):04x}".encode() for character in "\x85\u2028\u2029"}
"""Characters that JSON does not escape but that some readers, such as ``str.splitlines``, take for line ends."""
PING: Final = b": ping\n\n"
"""Comment that keeps an idle connection open."""


def encode_event(type: str, data: Mapping[str, Any], id: int | None = None) -> bytes:
    """Encode one event. Its data is one line for every reader."""
    encoded = encode_json(data)
    for character, escape in _LINE_SEPARATORS.items():
        encoded = encoded.replace(character, escape)
    return sse.encode_event(type, encoded, id=id)


class _EventStream(StreamingResponse):
    """Response that sends each chunk at once; its headers disable caches and buffering proxies."""

    def __init__(self, chunks: AsyncIterator[bytes], on_end: Callable[[], object]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(chunks, headers=headers, media_type=sse.MEDIA_TYPE)
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


def event_stream(chunks: AsyncIterator[bytes], on_end: Callable[[], object] = lambda: None) -> StreamingResponse:
    """Return a response that sends each chunk at once, and calls ``on_end`` when it ends in whatever way."""
    return _EventStream(chunks, on_end)
