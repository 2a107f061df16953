"""HTTP/1.1 server on bare sockets: it sends the exact bytes that a test scripts, and knows its open connections."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from support.clients.background_work import CLEANUPS, wait_for_background_work

TIMEOUT = 15.0
"""Seconds that tests wait for something before they fail."""
_RESET = b"\1\0\0\0\0\0\0\0"
"""For SO_LINGER: closing the socket resets the connection."""


@dataclass(frozen=True)
class Request:
    """Request that arrived whole."""

    connection: int
    """Number of its connection, from 0."""
    method: str
    path: str
    headers: dict[str, str]
    """Names are lower case."""
    body: bytes


Handler = Callable[[Request], Iterable[bytes] | None]
"""Returns what to send, in pieces; None closes the connection."""


def response(status: int, body: Any = b"", **headers: str) -> list[bytes]:
    """Return a whole response; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = {"Content-Type": "application/json", "Content-Length": str(len(content))}
    head |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in head.items()), "", ""]
    return ["\r\n".join(lines).encode() + content]


def event_stream(*events: bytes, end: bool = True) -> Iterator[bytes]:
    """Send an event stream, one chunk per event; without ``end`` it stays open."""
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    for event in events:
        yield b"%x\r\n%s\r\n" % (len(event), event)
    if end:
        yield b"0\r\n\r\n"


class HangUp(Exception):  # noqa: N818 (no error: a step of a script)
    """Raised while a response is sent, to close its connection."""


def then_hang_up(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Send the pieces and close the connection."""
    yield from pieces
    raise HangUp


@dataclass
class SocketServer:
    """Server that passes every request to ``handle``, one thread per connection; started by ``serve``."""

    handle: Handler
    tls: ssl.SSLContext | None = None
    base_url: str = ""
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    """Connections accepted so far."""
    open: set[int] = field(default_factory=set)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _sockets: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _stopping: bool = False

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition on connections and requests holds; fail after ``TIMEOUT``."""
        with self._changed:
            assert self._changed.wait_for(condition, TIMEOUT), (sorted(self.open), len(self.requests))

    def wait_for_disconnect(self, request: Request) -> bool:
        """Wait until the client closes the request's connection; return False if the server stops first."""
        with suppress(OSError):
            self._sockets[request.connection].recv(1)
        return not self._stopping

    def end_connection(self, request: Request, by: Literal["fin", "rst"]) -> None:
        """Reset the request's connection, or close it cleanly and check that the client does not use it any more."""
        peer = self._sockets[request.connection]
        if by == "rst":
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        else:
            peer.shutdown(socket.SHUT_WR)
            peer.settimeout(TIMEOUT)
            assert peer.recv(1) == b"", "the client uses a connection that has ended"
        raise HangUp

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

    def _secured(self, number: int, peer: socket.socket) -> socket.socket:
        if self.tls is not None:
            # It takes the place of the plain socket, which is of no more use.
            self._sockets[number] = peer = self.tls.wrap_socket(peer, server_side=True)
        return peer

    def _serve(self, number: int, peer: socket.socket) -> None:
        with suppress(OSError, HangUp), self._secured(number, peer) as peer, peer.makefile("rb") as incoming:
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

    def _stop(self) -> None:
        self._stopping = True
        for peer in self._sockets:
            with suppress(OSError):
                # Method of the plain socket: that of an SSLSocket drops the TLS state that its thread is using.
                socket.socket.shutdown(peer, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(TIMEOUT)


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
    length = int(headers.get("content-length", 0))
    body = incoming.read(length)
    # A client that left while it sent its request has made none.
    return Request(number, method, path, headers, body) if len(body) == length else None


@contextmanager
def serve(server: S) -> Iterator[S]:
    """Run the server on a free loopback port."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        scheme = "http" if server.tls is None else "https"
        server.base_url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/v1"
        acceptor = threading.Thread(target=server._accept, args=(listener,))
        acceptor.start()
        try:
            yield server
            # What clients still send must not arrive at the next server that is given this port.
            wait_for_background_work(CLEANUPS)
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            # Clients that are still being accepted would miss the shutdown of their connection.
            acceptor.join(TIMEOUT)
            server._stop()
