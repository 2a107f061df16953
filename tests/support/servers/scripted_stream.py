"""Raw HTTP server with one task, whose event stream follows a script: one step per connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

from support.servers import raw_http, responses

Connection = Callable[[int], Iterable[bytes] | None]
"""Returns the bytes to send on one connection for a Last-Event-ID (0 without one); None closes it."""


def send_then_cut(*events: bytes) -> Connection:
    """Send the events, then cut the connection."""
    return lambda _: raw_http.then_hang_up(raw_http.event_stream(*events, end=False))


def send_then_end(*events: bytes) -> Connection:
    """Send the events, then end the stream regularly."""
    return lambda _: raw_http.event_stream(*events)


def send_then_stall(*events: bytes, until: Event) -> Connection:
    """Send the events, then nothing ``until`` the event is set."""

    def connection(_: int) -> Iterator[bytes]:
        yield from raw_http.event_stream(*events, end=False)
        until.wait(raw_http.TIMEOUT)
        raise raw_http.HangUp

    return connection


def respond_with_error(status: int, type: str = "server_error", **headers: str) -> Connection:
    return lambda _: raw_http.response(status, responses.error(type), **headers)


def hang_up(_: int) -> None:
    """Close the connection without a response."""


def thinking_events(*numbers: int) -> bytes:
    """Return thinking events with these ids."""
    return b"".join(responses.event(number, "thinking") for number in numbers)


@dataclass
class StreamScript:
    """Responses of the API for one task; the last connection is repeated."""

    connections: list[Connection]
    after: list[int] = field(default_factory=list)
    """Last-Event-ID of each connection."""
    submits: int = 0
    cancels: int = 0
    status: str = "running"
    """Status of the task, unless it was cancelled."""

    def __call__(self, request: raw_http.Request) -> Iterable[bytes] | None:
        match request.method, request.path:
            case "POST", "/v1/task":
                self.submits += 1
                return raw_http.response(202, responses.task("pending"))
            case "POST", "/v1/task/task_1/cancel":
                self.cancels += 1
                return raw_http.response(200, responses.task("cancelled"))
            case "GET", "/v1/task/task_1/events":
                number = len(self.after)
                self.after.append(int(request.headers.get("last-event-id", 0)))
                return self.connections[min(number, len(self.connections) - 1)](self.after[-1])
            case "GET", "/v1/task/task_1":
                return raw_http.response(200, responses.task("cancelled" if self.cancels else self.status))
            case _:
                return raw_http.response(404, responses.error("not_found_error"))


@contextmanager
def scripted_stream(*connections: Connection) -> Iterator[tuple[raw_http.SocketServer, StreamScript]]:
    """Run a server with these connections; yield it and its script."""
    script = StreamScript(list(connections))
    with raw_http.serve(raw_http.SocketServer(script)) as server:
        yield server, script
