"""A task whose event stream comes over connections that a test scripts, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

from . import raw, wire

Connection = Callable[[int], Iterable[bytes] | None]
"""What to send on one connection, given the Last-Event-ID (0 without one); None to hang up."""


def sends(*events: bytes) -> Connection:
    """These, then the connection is cut."""
    return lambda _: raw.hanging_up(raw.stream(*events, end=False))


def ends(*events: bytes) -> Connection:
    """These, then the stream ends as if all had been said."""
    return lambda _: raw.stream(*events)


def stays(*events: bytes, until: Event) -> Connection:
    """These, then silence."""

    def connection(_: int) -> Iterator[bytes]:
        yield from raw.stream(*events, end=False)
        until.wait(raw.TIMEOUT)
        raise raw.HangUp

    return connection


def refuses(status: int, type: str = "server_error", **headers: str) -> Connection:
    return lambda _: raw.answer(status, wire.error(type), **headers)


def hangs_up(_: int) -> None:
    """Nothing at all."""


def thinking(*numbers: int) -> bytes:
    """Events with these numbers."""
    return b"".join(wire.event(number, "thinking") for number in numbers)


@dataclass
class Script:
    """Answers of the API about one task; the last connection is repeated."""

    connections: list[Connection]
    after: list[int] = field(default_factory=list)
    """The Last-Event-ID of each connection."""
    submits: int = 0
    cancels: int = 0
    status: str = "running"
    """How the task stands, unless it was cancelled."""

    def __call__(self, request: raw.Request) -> Iterable[bytes] | None:
        match request.method, request.path:
            case "POST", "/v1/task":
                self.submits += 1
                return raw.answer(202, wire.task("pending"))
            case "POST", "/v1/task/task_1/cancel":
                self.cancels += 1
                return raw.answer(200, wire.task("cancelled"))
            case "GET", "/v1/task/task_1/events":
                number = len(self.after)
                self.after.append(int(request.headers.get("last-event-id", 0)))
                return self.connections[min(number, len(self.connections) - 1)](self.after[-1])
            case "GET", "/v1/task/task_1":
                return raw.answer(200, wire.task("cancelled" if self.cancels else self.status))
            case _:
                return raw.answer(404, wire.error("not_found_error"))


@contextmanager
def scripted(*connections: Connection) -> Iterator[tuple[raw.RawServer, Script]]:
    """A server that follows the script."""
    script = Script(list(connections))
    with raw.serve(raw.RawServer(script)) as server:
        yield server, script
