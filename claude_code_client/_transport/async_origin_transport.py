"""HTTP connections of the asynchronous client to its server, without retries. Twin of ``sync_origin_transport``."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import httpcore

from .core_urls import core_url, origin_of
from .idle_connections import IdleConnections
from .messages import HttpRequest, HttpResponse, Server

Header = tuple[bytes, bytes]


class AsyncOriginTransport:
    """Connections to one server, each used by one request at a time and kept open for the next.

    The connection pool of httpcore walks all its connections for every request; here the cost of a request does not
    depend on how many there are. Requests to other servers get a connection of their own.
    """

    def __init__(self, server: Server, connect: Callable[[httpcore.Origin], httpcore.AsyncConnectionInterface]) -> None:
        self._server = server
        self._origin = origin_of(server)
        self._connect = connect
        self._idle: IdleConnections[httpcore.AsyncConnectionInterface] = IdleConnections()
        self._busy: set[httpcore.AsyncConnectionInterface] = set()
        self._closed = False

    async def handle(self, request: HttpRequest, headers: list[Header], timeouts: dict[str, float]) -> HttpResponse:
        """Send a request and return its response, of which the body is still to come."""
        core = httpcore.Request(
            request.method,
            core_url(request.server, request.target.encode("ascii")),
            headers=headers,
            content=request.body,
            extensions={"timeout": timeouts},
        )
        is_own = request.server is self._server or request.server == self._server
        connection = await self._take() if is_own else self._connect(origin_of(request.server))
        self._busy.add(connection)
        try:
            response = await connection.handle_async_request(core)
        except BaseException:
            await self._release(connection, reusable=False)
            raise
        body = AsyncBody(response.stream, partial(self._release, connection, reusable=is_own))
        return HttpResponse(request, response.status, response.headers, body)

    async def aclose(self) -> None:
        self._closed = True
        for connection in (*self._idle.take_all(), *tuple(self._busy)):
            await connection.aclose()
        self._busy.clear()

    async def _take(self) -> httpcore.AsyncConnectionInterface:
        for expired in self._idle.take_expired():
            await expired.aclose()
        while (connection := self._idle.take()) is not None:
            if not connection.has_expired():  # the server has closed it
                return connection
            await connection.aclose()
        return self._connect(self._origin)

    async def _release(self, connection: httpcore.AsyncConnectionInterface, *, reusable: bool) -> None:
        self._busy.discard(connection)
        if reusable and not self._closed and connection.is_idle():
            self._idle.put(connection)
        elif not connection.is_closed():
            await connection.aclose()
        if self._closed:
            # It may have been closed after the question above, too.
            await self.aclose()


class AsyncBody:
    """Body of a response, as it was sent; gives its connection back when it is closed."""

    def __init__(self, stream: Any, release: Callable[..., Awaitable[None]]) -> None:
        self._stream = stream
        self._release = release
        self._closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        chunks: AsyncIterable[bytes] = self._stream
        return aiter(chunks)

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            await self._stream.aclose()
        except BaseException:
            # An interruption, as by Ctrl-C, may leave the connection's lock taken.
            await self._release(reusable=False)
            raise
        await self._release()
