"""The Messages streaming format: one message as events, events as bytes, bytes as events. No I/O."""

import json
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from typing import Any

_PIECE = re.compile(r".{1,40}\s+|.{1,40}", re.DOTALL)
"""A few words: what one delta of a text carries."""

Event = dict[str, Any]
"""One streaming event: what its ``data:`` line holds, ``type`` included."""


def encode(event: Mapping[str, Any]) -> bytes:
    """One event as it travels: in ASCII, so that half a surrogate pair gets through too."""
    data = json.dumps(event, separators=(",", ":"))
    return f"event: {event.get('type', 'message')}\ndata: {data}\n\n".encode()


async def decode(chunks: AsyncIterable[bytes]) -> AsyncIterator[Event]:
    """Events from the bytes of a stream; comments and events that hold no JSON object are passed over."""
    data: list[bytes] = []
    async for line in _lines(chunks):
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            event = _parse(b"\n".join(data))
            data.clear()
            if event is not None:
                yield event


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    pending = b""
    async for chunk in chunks:
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r")


def _parse(data: bytes) -> Event | None:
    try:
        event = json.loads(data)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def events_of(message: Mapping[str, Any]) -> Iterator[Event]:
    """The events that a whole message (a Messages response body) streams as."""
    usage = dict(message.get("usage") or {})
    head = {
        **message,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": min(1, int(usage.get("output_tokens") or 0))},
    }
    yield {"type": "message_start", "message": head}
    for index, block in enumerate(message.get("content") or ()):
        yield from _block_events(index, block)
    stop = {key: message.get(key) for key in ("stop_reason", "stop_sequence")}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": usage.get("output_tokens", 0)}}
    yield {"type": "message_stop"}


def _block_events(index: int, block: Mapping[str, Any]) -> Iterator[Event]:
    match block.get("type"):
        case "text":
            start = {**block, "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in _PIECE.findall(block["text"])]
        case "tool_use":
            partial = json.dumps(block.get("input") or {}, ensure_ascii=False)
            start, deltas = {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": partial}]
        case "thinking":
            start = {**block, "thinking": "", "signature": ""}
            deltas = [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block.get("signature", "")},
            ]
        case _:
            start, deltas = dict(block), []
    yield {"type": "content_block_start", "index": index, "content_block": start}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}
