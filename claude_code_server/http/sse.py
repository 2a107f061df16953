"""Responses with server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from starlette.responses import StreamingResponse

from claude_code_common import sse

from .responses import encode_json

PING: Final = b": ping\n\n"
"""Comment that keeps an idle connection open."""


def encode_event(type: str, data: Mapping[str, Any], id: int | None = None) -> bytes:
    """Encode one event."""
    return sse.encode_event(type, encode_json(data), id=id)


def event_stream(chunks: AsyncIterator[bytes]) -> StreamingResponse:
    """Return a response that sends each chunk at once; its headers disable caches and buffering proxies."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(chunks, headers=headers, media_type=sse.MEDIA_TYPE)
