"""HTTP connections of the synchronous client to its server, without retries. Twin of ``async_origin_transport``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import httpcore

from .core_urls import core_url, origin_of
from .idle_connections import IdleConnections
from .messages import HttpRequest, HttpResponse, Server

Header = tuple[bytes, bytes]


class SyncOriginTransport:
    """Connections to one server, each used by one request at a time and kept open for the next.

    The connection pool of httpcore walks all its connections for every request; here the cost of a request does not
    depend on how many there are. Requests to other servers get a connection of their own.
    """

    def __init__(self, server: Server, connect: Callable[[httpcore.Origin], httpcore.ConnectionInterface]) -> None:
        self._server = server
        self._origin = origin_of(server)
        self._connect = connect
        self._idle: IdleConnections[httpcore.ConnectionInterface] = IdleConnections()
        self._busy: set[httpcore.ConnectionInterface] = set()
        self._closed = False

    def handle(self, request: HttpRequest, headers: list[Header], timeouts: dict[str, float]) -> HttpResponse:
        """Send a request and return its response, of which the body is still to come."""
        core = httpcore.Request(
            request.method,
            core_url(request.server, request.target.encode("ascii")),
            headers=headers,
            content=request.body,
            extensions={"timeout": timeouts},
        )
        is_own = request.server is self._server or request.server == self._server
        connection = self._take() if is_own else self._connect(origin_of(request.server))
        self._busy.add(connection)
        try:
            response = connection.handle_request(core)
        except BaseException:
            self._release(connection, reusable=False)
            raise
        body = SyncBody(response.stream, partial(self._release, connection, reusable=is_own))
        return HttpResponse(request, response.status, response.headers, body)

    def close(self) -> None:
        self._closed = True
        for connection in (*self._idle.take_all(), *tuple(self._busy)):
            connection.close()
        self._busy.clear()

    def _take(self) -> httpcore.ConnectionInterface:
        for expired in self._idle.take_expired():
            expired.close()
        while (connection := self._idle.take()) is not None:
            if not connection.has_expired():  # the server has closed it
                return connection
            connection.close()
        return self._connect(self._origin)

    def _release(self, connection: httpcore.ConnectionInterface, *, reusable: bool) -> None:
        self._busy.discard(connection)
        if reusable and not self._closed and connection.is_idle():
            self._idle.put(connection)
        elif not connection.is_closed():
            connection.close()
        if self._closed:
            # It may have been closed after the question above, too.
            self.close()


class SyncBody:
    """Body of a response, as it was sent; gives its connection back when it is closed."""

    def __init__(self, stream: Any, release: Callable[..., None]) -> None:
        self._stream = stream
        self._release = release
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        chunks: Iterable[bytes] = self._stream
        return iter(chunks)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._stream.close()
        except BaseException:
            # An interruption, as by Ctrl-C, may leave the connection's lock taken.
            self._release(reusable=False)
            raise
        self._release()
