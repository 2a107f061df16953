"""Scripted Messages endpoint: the upstream of the embedded server and of the real Claude Code."""

import itertools
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self

from claude_code_server.upstream.messages_stream import encode_event, message_events
from support.servers import raw_http

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
    """Return a tool call as a content block."""
    return {"type": "tool_use", "id": f"toolu_{next(_ids)}", "name": name, "input": arguments}


def thinking(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": text, "signature": "c2lnbmVk"}


@dataclass(frozen=True)
class Failure:
    """Error response in the Messages format, or with another ``body``."""

    status: int
    type: str = "api_error"
    message: str = "scripted"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True)
class Cut:
    """Message whose stream ends after some events: by a lost connection or, if ``tidy``, by a regular end."""

    message: Mapping[str, Any]
    after: int
    tidy: bool = False


@dataclass(frozen=True)
class ErrorEvent:
    """Message whose stream ends with an error event after some events."""

    message: Mapping[str, Any]
    after: int
    type: str
    text: str


@dataclass(frozen=True)
class OddUsage:
    """Message whose stream reports ``usage`` as it is, of whatever type."""

    message: Mapping[str, Any]
    usage: Any


@dataclass(frozen=True)
class Whole:
    """Message that is sent whole even if the request asks for a stream, as a LiteLLM proxy does."""

    message: Mapping[str, Any]


@dataclass(frozen=True)
class Hang:
    """No response until the endpoint closes or the client disconnects."""


@dataclass(frozen=True)
class Disconnect:
    """No response: the connection is closed once the request has been read."""


Reply = Mapping[str, Any] | Failure | Cut | ErrorEvent | OddUsage | Whole | Hang | Disconnect
Script = Iterable[Reply] | Callable[[dict[str, Any]], Reply]


@dataclass(frozen=True)
class ReceivedRequest:
    """Request to the endpoint; header names are lower case."""

    body: dict[str, Any]
    headers: dict[str, str]
    path: str


class ScriptedMessages:
    """``with ScriptedMessages([message("hello")]) as endpoint: ... endpoint.url, endpoint.requests``.

    The script is either one reply per request or a function of the request's body, called from several threads.
    A request after the end of the script receives a 500 that says so.
    """

    def __init__(self, script: Script) -> None:
        self.requests: list[ReceivedRequest] = []
        self.requested = threading.Event()
        """Set by the first request."""
        self.abandoned = threading.Event()
        """Set when a client disconnects from a reply that hangs."""
        self.follow(script)
        self._server = raw_http.SocketServer(self._respond)
        self._running = ExitStack()

    def follow(self, script: Script) -> None:
        """Go on with this script instead, as if there had been no request."""
        self.reply: Callable[[dict[str, Any]], Reply] = script if callable(script) else _in_turn(script)
        self.requests.clear()
        self.requested.clear()
        self.abandoned.clear()

    @property
    def url(self) -> str:
        return self._server.base_url.removesuffix("/v1")

    def __enter__(self) -> Self:
        self._running.enter_context(raw_http.serve(self._server))
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _respond(self, request: raw_http.Request) -> Iterable[bytes]:
        if request.method != "POST":
            return raw_http.response(405)
        return self._reply_with(request, json.loads(request.body), self.reply)

    def _reply_with(
        self, request: raw_http.Request, body: dict[str, Any], script: Callable[[dict[str, Any]], Reply]
    ) -> Iterable[bytes]:
        self.requests.append(ReceivedRequest(body, request.headers, request.path))
        self.requested.set()
        match script(body):
            case Failure(status, kind, text, headers, other_body):
                error = {"type": "error", "error": {"type": kind, "message": text}}
                return raw_http.response(status, error if other_body is None else other_body, **headers)
            case Disconnect():
                return raw_http.then_hang_up([])
            case Whole(whole):
                return raw_http.response(200, whole)
            case Hang():
                return self._hang(request)
            case Cut(whole, after, tidy):
                sent = b"".join(_events(whole)[:after])
                if tidy:
                    return _stream(sent)
                return raw_http.then_hang_up(_stream(sent, length=len(sent) + 1))
            case ErrorEvent(whole, after, kind, text):
                error = {"type": "error", "error": {"type": kind, "message": text}}
                return _stream(b"".join([*_events(whole)[:after], encode_event(error)]))
            case OddUsage(whole, usage):
                return _stream(b"".join(_events(whole, {"usage": usage})))
            case reply if body.get("stream"):
                return _stream(b"".join(_events(reply)))
            case reply:
                return raw_http.response(200, reply)

    def _hang(self, request: raw_http.Request) -> Iterator[bytes]:
        if self._server.wait_for_disconnect(request):
            self.abandoned.set()
        yield from raw_http.then_hang_up([])


def _in_turn(script: Iterable[Reply]) -> Callable[[dict[str, Any]], Reply]:
    replies, lock = iter(script), threading.Lock()

    def following(_: dict[str, Any]) -> Reply:
        with lock:
            return next(replies, Failure(500, message="the script has no reply left"))

    return following


def _events(message: Mapping[str, Any], instead: Mapping[str, Any] | None = None) -> list[bytes]:
    """Return the encoded events of a message; ``instead`` replaces fields of its first and last event."""
    events = list(message_events(message))
    if instead is not None:
        events[0]["message"].update(instead)
        events[-2].update(instead)
    return [encode_event(event) for event in events]


def _stream(body: bytes, length: int | None = None) -> list[bytes]:
    length = len(body) if length is None else length
    return raw_http.response(200, body, Content_Type="text/event-stream", Content_Length=str(length))
