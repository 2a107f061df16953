"""Server-sent events, as they go out."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.responses import StreamingResponse

from .wire import json_bytes

PING = b": ping\n\n"


def encode(type: str, data: Mapping[str, Any], id: int | None = None) -> bytes:
    """One event; its data is one line."""
    head = "" if id is None else f"id: {id}\n"
    return f"{head}event: {type}\ndata: ".encode() + json_bytes(data) + b"\n\n"


def event_stream(chunks: AsyncIterator[bytes]) -> StreamingResponse:
    """The response; each chunk is sent as soon as it is there, past caches and buffering proxies."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(chunks, headers=headers, media_type="text/event-stream")
