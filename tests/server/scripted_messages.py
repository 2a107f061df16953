"""Messages endpoint on loopback that responds from a script and records its requests."""

import itertools
import json
import select
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from claude_code_server.upstream.messages_stream import encode_event, message_events

_ids = itertools.count(1)


def message(
    *content: Mapping[str, Any] | str,
    stop_reason: str | None = None,
    input_tokens: int = 100,
    output_tokens: int = 20,
    **usage: Any,
) -> dict[str, Any]:
    """Return a Messages response body; strings become text blocks."""
    blocks = [{"type": "text", "text": part} if isinstance(part, str) else dict(part) for part in content]
    uses_tool = any(block["type"] == "tool_use" for block in blocks)
    return {
        "id": f"msg_{next(_ids)}",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": blocks,
        "stop_reason": stop_reason or ("tool_use" if uses_tool else "end_turn"),
        "stop_sequence": None,
        "usage": {"input_tokens": input_tokens, "output_tokens": output_tokens, **usage},
    }


def tool(name: str, **arguments: Any) -> dict[str, Any]:
    """Return a content block with a tool call."""
    return {"type": "tool_use", "id": f"toolu_{next(_ids)}", "name": name, "input": arguments}


def thinking(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": text, "signature": "c2lnbmVk"}


@dataclass(frozen=True)
class Failure:
    """An error response, in the Messages format or with another ``body``."""

    status: int
    type: str = "api_error"
    message: str = "scripted"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True)
class Cut:
    """A message whose stream ends after some events: with a broken connection, or regularly if ``tidy``."""

    message: Mapping[str, Any]
    after: int
    tidy: bool = False


@dataclass(frozen=True)
class ErrorEvent:
    """A message whose stream ends with an error event after some events."""

    message: Mapping[str, Any]
    after: int
    type: str
    text: str


@dataclass(frozen=True)
class Hang:
    """No response until the endpoint closes or the client disconnects."""


Reply = Mapping[str, Any] | Failure | Cut | ErrorEvent | Hang
Script = Iterable[Reply] | Callable[[dict[str, Any]], Reply]


@dataclass(frozen=True)
class ReceivedRequest:
    """A received request; header names in lower case."""

    body: dict[str, Any]
    headers: dict[str, str]
    path: str


class ScriptedMessages:
    """``with ScriptedMessages([message("hello")]) as endpoint: ... endpoint.url, endpoint.requests``.

    The script is a list of responses, one per request, or a function of the request body (called from several threads).
    A request after the end of the list gets a 500.
    """

    def __init__(self, script: Script) -> None:
        self.requests: list[ReceivedRequest] = []
        self.requested = threading.Event()
        """Set by the first request."""
        self.abandoned = threading.Event()
        """Set when a client disconnects from a response that hangs."""
        self.closing = threading.Event()
        self.reply: Callable[[dict[str, Any]], Reply] = script if callable(script) else _in_turn(script)
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _in_turn(script: Iterable[Reply]) -> Callable[[dict[str, Any]], Reply]:
    replies, lock = iter(script), threading.Lock()

    def following(_: dict[str, Any]) -> Reply:
        with lock:
            return next(replies, Failure(500, message="the script has no response left"))

    return following


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, endpoint: ScriptedMessages) -> None:
        self.endpoint = endpoint
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        endpoint = self.server.endpoint
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        endpoint.requests.append(ReceivedRequest(body, headers, self.path))
        endpoint.requested.set()
        match endpoint.reply(body):
            case Failure(status, kind, text, more, raw):
                error = {"type": "error", "error": {"type": kind, "message": text}}
                self._send(json.dumps(error).encode() if raw is None else raw, "application/json", status, more)
            case Hang():
                self._wait_for_the_end(endpoint)
            case Cut(whole, after, tidy):
                parts = [encode_event(event) for event in message_events(whole)]
                sent = b"".join(parts[:after])
                self._send(sent, "text/event-stream", length=len(sent) + (0 if tidy else 1))
            case ErrorEvent(whole, after, kind, text):
                parts = [encode_event(event) for event in message_events(whole)][:after]
                error = {"type": "error", "error": {"type": kind, "message": text}}
                self._send(b"".join([*parts, encode_event(error)]), "text/event-stream")
            case reply if body.get("stream"):
                self._send(b"".join(map(encode_event, message_events(reply))), "text/event-stream")
            case reply:
                self._send(json.dumps(reply).encode(), "application/json")

    def _send(
        self,
        body: bytes,
        kind: str,
        status: int = 200,
        more: Mapping[str, str] | None = None,
        length: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(length or len(body)), **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _wait_for_the_end(self, endpoint: ScriptedMessages) -> None:
        connection: socket.socket = self.connection
        while not endpoint.closing.is_set():
            if select.select([connection], [], [], 0.02)[0]:
                endpoint.abandoned.set()
                return

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""
