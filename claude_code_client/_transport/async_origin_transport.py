"""HTTP connections of the asynchronous client to its server, without retries. Twin of ``sync_origin_transport``."""

from __future__ import annotations

from collections.abc import Callable

from .async_http_connection import AsyncHttpConnection
from .http11 import Headers
from .idle_connections import IdleConnections
from .messages import HttpRequest, HttpResponse, Server


class AsyncOriginTransport:
    """Connections to one server, each used by one request at a time and kept open for the next.

    The connection pool of httpcore walks all its connections for every request; here the cost of a request does not
    depend on how many there are. Requests to other servers get a connection of their own.
    """

    def __init__(self, server: Server, connect: Callable[[Server], AsyncHttpConnection]) -> None:
        self._server = server
        self._connect = connect
        self._idle: IdleConnections[AsyncHttpConnection] = IdleConnections()
        self._busy: set[AsyncHttpConnection] = set()
        self._closed = False

    async def handle(self, request: HttpRequest, headers: Headers, timeouts: dict[str, float]) -> HttpResponse:
        """Send a request and return its response, of which the body is still to come."""
        is_own = request.server is self._server or request.server == self._server
        connection = await self._take() if is_own else self._connect(request.server)
        self._busy.add(connection)
        try:
            status, raw_headers = await connection.exchange(request, headers, timeouts)
        except BaseException:
            await self.release(connection, reusable=False)
            raise
        return HttpResponse(request, status, raw_headers, AsyncBody(self, connection, reusable=is_own))

    async def aclose(self) -> None:
        self._closed = True
        for connection in (*self._idle.take_all(), *tuple(self._busy)):
            await connection.aclose()
        self._busy.clear()

    async def _take(self) -> AsyncHttpConnection:
        for expired in self._idle.take_expired():
            await expired.aclose()
        while (connection := self._idle.take()) is not None:
            if not connection.has_expired():  # the server has closed it
                return connection
            await connection.aclose()
        return self._connect(self._server)

    async def release(self, connection: AsyncHttpConnection, *, reusable: bool) -> None:
        """Take a connection back: keep it if it can be used again, close it otherwise."""
        self._busy.discard(connection)
        if reusable and not self._closed and await connection.finish():
            self._idle.put(connection)
        else:
            await connection.aclose()
        if self._closed:
            # It may have been closed after the question above, too.
            await self.aclose()


class AsyncBody:
    """Body of a response, as it was sent; gives its connection back when it is closed."""

    def __init__(self, transport: AsyncOriginTransport, connection: AsyncHttpConnection, *, reusable: bool) -> None:
        self._transport = transport
        self._connection = connection
        self._reusable = reusable
        self._closed = False

    async def read(self) -> bytes | None:
        """Return the next bytes; None at the end."""
        return await self._connection.read()

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            await self._transport.release(self._connection, reusable=self._reusable)
        except BaseException:
            # Interrupted, as by Ctrl-C, in the middle of it.
            await self._transport.release(self._connection, reusable=False)
            raise
