"""An HTTP/1.1 server that sends what a test says, byte for byte, and knows which of its connections are open."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

TIMEOUT = 15.0
"""Seconds until something that a test waits for counts as never."""


@dataclass(frozen=True)
class Request:
    connection: int
    """Which connection it came on, from 0."""
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


Handler = Callable[[Request], Iterable[bytes] | None]
"""What to send, in pieces; None to hang up."""


def response(status: int, body: Any = b"", **headers: str) -> list[bytes]:
    """A whole response; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = {"Content-Type": "application/json", "Content-Length": str(len(content))}
    head |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    return ["\r\n".join(lines).encode() + content]


def event_stream(*events: bytes, end: bool = True) -> Iterator[bytes]:
    """An event stream, one chunk for each event; without ``end`` it stays open."""
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    for event in events:
        yield b"%x\r\n%s\r\n" % (len(event), event)
    if end:
        yield b"0\r\n\r\n"


class HangUp(Exception):  # noqa: N818 (no error: what a script does)
    """Raised by what a handler gives, where the connection is to be closed."""


def then_hang_up(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """These, then the connection is closed."""
    yield from pieces
    raise HangUp


@dataclass
class SocketServer:
    handle: Handler
    tls: ssl.SSLContext | None = None
    base_url: str = ""
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    """How many were accepted so far."""
    open: set[int] = field(default_factory=set)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _sockets: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so of the connections and requests; fails if it never is."""
        with self._changed:
            assert self._changed.wait_for(condition, TIMEOUT), (sorted(self.open), len(self.requests))

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                peer, _ = listener.accept()
                with self._changed:
                    number, self.connections = self.connections, self.connections + 1
                    self.open.add(number)
                    self._sockets.append(peer)
                    self._changed.notify_all()
                thread = threading.Thread(target=self._serve, args=(number, peer))
                self._threads.append(thread)
                thread.start()

    def _secured(self, peer: socket.socket) -> socket.socket:
        return peer if self.tls is None else self.tls.wrap_socket(peer, server_side=True)

    def _serve(self, number: int, peer: socket.socket) -> None:
        with suppress(OSError, HangUp), self._secured(peer) as peer, peer.makefile("rb") as incoming:
            while (request := _read(number, incoming)) is not None:
                with self._changed:
                    self.requests.append(request)
                    self._changed.notify_all()
                pieces = self.handle(request)
                if pieces is None:
                    break
                for piece in pieces:
                    peer.sendall(piece)
        with self._changed:
            self.open.discard(number)
            self._changed.notify_all()


S = TypeVar("S", bound=SocketServer)


def _read(number: int, incoming: Any) -> Request | None:
    line = incoming.readline()
    if not line:
        return None
    method, path, _ = line.decode().split(" ", 2)
    headers = {}
    while (header := incoming.readline().strip()) != b"":
        name, _, value = header.decode().partition(":")
        headers[name.lower()] = value.strip()
    return Request(number, method, path, headers, incoming.read(int(headers.get("content-length", 0))))


@contextmanager
def serve(server: S) -> Iterator[S]:
    """Run it on a free loopback port."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        scheme = "http" if server.tls is None else "https"
        server.base_url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/v1"
        acceptor = threading.Thread(target=server._accept, args=(listener,))
        acceptor.start()
        try:
            yield server
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            for peer in server._sockets:
                with suppress(OSError):
                    peer.shutdown(socket.SHUT_RDWR)
            acceptor.join(TIMEOUT)
            for thread in server._threads:
                thread.join(TIMEOUT)
