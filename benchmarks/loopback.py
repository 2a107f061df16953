"""HTTP server for benchmarks, in a process of its own, so that its CPU does not count as the client's.

It knows whole requests only, and sends responses that were made before: what it costs is the same for every client.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen
from typing import Any, Final

from benchmarks.open_files import raise_limit

EVENTS: Final = 20_000
"""Small events of a stream."""
PACED: Final = "paced"
"""Name of the task whose stream has an event a second."""

_USAGE: Final = {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17, "cost": 0.25}
_TASK: Final = {
    "id": "task_1",
    "status": "completed",
    "result": {"summary": "Done."},
    "artifacts": [],
    "execution_log": [],
    "usage": _USAGE,
    "created_at": "2026-01-01T00:00:00Z",
    "completed_at": "2026-01-01T00:00:06Z",
}
_COMPLETION: Final = {
    "id": "cmpl_1",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "text", "text": "Python is a language."}],
    "model": "claude-sonnet-5-5",
    "stop_reason": "end_turn",
    "usage": _USAGE,
}
_OPENAI: Final = {
    "id": "cmpl_1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Python is a language."}}
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17},
}
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: (\d+)")


def event(type: str, number: int | None = None, **fields: Any) -> bytes:
    """Return a server-sent event."""
    data = json.dumps({"type": type, **fields}, separators=(",", ":"))
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {type}\ndata: {data}\n\n".encode()


def task_events() -> bytes:
    """Return the stream of a task: small events, then its end."""
    end = event(
        "result", EVENTS + 1, content="Done.", status="completed", result=_TASK["result"], artifacts=[], usage=_USAGE
    )
    return b"".join(event("thinking", number, content="Let me see.") for number in range(1, EVENTS + 1)) + end


def _anthropic_events() -> bytes:
    message = {**_COMPLETION, "content": [], "stop_reason": None}
    text = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Let me see."})
    start = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    delta = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5})
    ends = (event("content_block_stop", index=0), delta, event("message_stop"))
    return event("message_start", message=message) + start + text * EVENTS + b"".join(ends)


def _openai_events() -> bytes:
    chunk = {
        "id": "cmpl_1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": "Let me see."}}],
    }
    return b"data: %s\n\n" % json.dumps(chunk, separators=(",", ":")).encode() * EVENTS + b"data: [DONE]\n\n"


def _response(status: int, body: object) -> bytes:
    return _whole(status, b"application/json", json.dumps(body).encode())


def _whole(status: int, kind: bytes, data: bytes) -> bytes:
    head = b"HTTP/1.1 %d OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
    return head % (status, kind, len(data)) + data


_STREAM: Final = b"text/event-stream"
_SUBMITTED: Final = _response(202, {**_TASK, "status": "pending", "result": {}, "completed_at": None})
_ENDED: Final = _response(200, _TASK)
_EVENTS: Final = _whole(200, _STREAM, task_events())
_PACED_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
_POSTS: Final = {
    "/v1/task": _SUBMITTED,
    "/v1/chat/completions": _response(200, _COMPLETION),
    "/openai/chat/completions": _response(200, _OPENAI),
    "/anthropic/v1/messages": _response(200, _COMPLETION),
}
_STREAMS: Final = {
    "/openai/chat/completions": _whole(200, _STREAM, _openai_events()),
    "/anthropic/v1/messages": _whole(200, _STREAM, _anthropic_events()),
}


class _Connection(asyncio.Protocol):
    """Responds to whole requests, without parsing more of them than that."""

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._received = b""
        self._number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._received, 0, end + 2)
        if len(self._received) < end + 4 + (int(length[1]) if length else 0):
            return
        request, self._received = self._received, b""
        method, path = request[: request.index(b"\r\n")].decode().split(" ")[:2]
        self._respond(method, path, request[end:])

    def _respond(self, method: str, path: str, body: bytes) -> None:
        path = path.partition("?")[0]
        if method == "POST":
            is_stream = path in _STREAMS and re.search(rb'"stream": ?true', body)
            self._transport.write(_STREAMS[path] if is_stream else _POSTS[path])
        elif not path.endswith("/events"):
            asyncio.get_running_loop().call_later(self._hold, self._transport.write, _ENDED)
        elif f"/{PACED}" in path:
            self._transport.write(_PACED_HEAD)
            self._tick()
        else:
            self._transport.write(_EVENTS)

    def _tick(self) -> None:
        if not self._transport.is_closing():
            self._number += 1
            self._transport.write(event("thinking", self._number, content="Let me see."))
            asyncio.get_running_loop().call_later(1.0, self._tick)


@contextmanager
def loopback_server(hold: float = 0.0) -> Iterator[str]:
    """Run the server; yield its URL, without a path. It holds the response to every GET for ``hold`` seconds."""
    command = [sys.executable, "-m", "benchmarks.loopback", str(hold)]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


async def _serve(hold: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(hold), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    raise_limit()
    asyncio.run(_serve(float(sys.argv[1])))
