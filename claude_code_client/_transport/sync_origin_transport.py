"""HTTP connections of the synchronous client to its server, without retries. Twin of ``async_origin_transport``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import httpcore
import httpx

from .httpcore_messages import core_request, httpx_errors, origin_of, response_of
from .idle_connections import IdleConnections


class SyncOriginTransport(httpx.BaseTransport):
    """Connections to the origin of ``base_url``, each used by one request at a time and kept open for the next.

    The connection pool of httpcore walks all its connections for every request; here the cost of a request does not
    depend on how many there are. Requests to other origins get a connection of their own.
    """

    def __init__(self, base_url: httpx.URL, connect: Callable[[httpcore.Origin], httpcore.ConnectionInterface]) -> None:
        self._origin = origin_of(base_url)
        self._connect = connect
        self._idle: IdleConnections[httpcore.ConnectionInterface] = IdleConnections()
        self._busy: set[httpcore.ConnectionInterface] = set()
        self._closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        core = core_request(request)
        connection = self._take(core.url.origin)
        self._busy.add(connection)
        try:
            with httpx_errors():
                response = connection.handle_request(core)
        except BaseException:
            self._release(connection, reusable=False)
            raise
        return response_of(response, _Body(response, partial(self._release, connection)))

    def close(self) -> None:
        self._closed = True
        for connection in (*self._idle.take_all(), *tuple(self._busy)):
            connection.close()
        self._busy.clear()

    def _take(self, origin: httpcore.Origin) -> httpcore.ConnectionInterface:
        for expired in self._idle.take_expired():
            expired.close()
        while origin == self._origin and (connection := self._idle.take()) is not None:
            if not connection.has_expired():  # the server has closed it
                return connection
            connection.close()
        return self._connect(origin)

    def _release(self, connection: httpcore.ConnectionInterface, *, reusable: bool = True) -> None:
        self._busy.discard(connection)
        if not connection.is_closed():
            reusable = reusable and connection.is_idle() and connection.can_handle_request(self._origin)
            if reusable and not self._closed:
                self._idle.put(connection)
            else:
                connection.close()
        if self._closed:
            # It may have been closed after the question above, too.
            self.close()


class _Body(httpx.SyncByteStream):
    """Body of a response; gives its connection back when it is closed."""

    def __init__(self, response: httpcore.Response, release: Callable[..., None]) -> None:
        self._response = response
        self._release = release
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        with httpx_errors():
            yield from self._response.iter_stream()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            self._response.close()
        except BaseException:
            # An interruption, as by Ctrl-C, may leave the connection's lock taken.
            self._release(reusable=False)
            raise
        self._release()
