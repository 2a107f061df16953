"""Responses with server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from starlette.responses import StreamingResponse

from claude_code_common import sse

from .responses import encode_json

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


def event_stream(chunks: AsyncIterator[bytes]) -> StreamingResponse:
    """Return a response that sends each chunk at once; its headers disable caches and buffering proxies."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(chunks, headers=headers, media_type=sse.MEDIA_TYPE)
