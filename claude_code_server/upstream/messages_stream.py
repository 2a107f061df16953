"""Streaming format of the Messages API: bytes to events, events to bytes, and a whole message as events. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from typing import Any, Final

from claude_code_common import sse

_DELTA_TEXT: Final = re.compile(r".{1,40}\s+|.{1,40}", re.DOTALL)
"""A few words: the text of one delta."""

MessagesEvent = dict[str, Any]
"""One streaming event: the JSON object in its ``data``, ``type`` included."""


def encode_event(event: Mapping[str, Any]) -> bytes:
    """Encode one event, in ASCII, so that lone surrogates pass through."""
    return sse.encode_event(event.get("type", "message"), json.dumps(event, separators=(",", ":")).encode())


async def decode_events(chunks: AsyncIterable[bytes]) -> AsyncIterator[MessagesEvent]:
    """Decode the bytes of a stream. Events without a JSON object are skipped.

    Raise EventTooLargeError of claude_code_common.sse.
    """
    decoder = sse.EventDecoder()
    async for chunk in chunks:
        for received in decoder.feed(chunk):
            event = _parse(received.data)
            if event is not None:
                yield event


def _parse(data: str) -> MessagesEvent | None:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def message_events(message: Mapping[str, Any]) -> Iterator[MessagesEvent]:
    """Return the events that stream a whole message, which is the body of a Messages response."""
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


def _block_events(index: int, block: Mapping[str, Any]) -> Iterator[MessagesEvent]:
    match block.get("type"):
        case "text":
            start = {**block, "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in _DELTA_TEXT.findall(block["text"])]
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
