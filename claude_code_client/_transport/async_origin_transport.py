"""HTTP connections of the asynchronous client to its server, without retries. Twin of ``sync_origin_transport``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import httpcore
import httpx

from .httpcore_messages import core_request, httpx_errors, origin_of, response_of
from .idle_connections import IdleConnections


class AsyncOriginTransport(httpx.AsyncBaseTransport):
    """Connections to the origin of ``base_url``, each used by one request at a time and kept open for the next.

    The connection pool of httpcore walks all its connections for every request; here the cost of a request does not
    depend on how many there are. Requests to other origins get a connection of their own.
    """

    def __init__(
        self, base_url: httpx.URL, connect: Callable[[httpcore.Origin], httpcore.AsyncConnectionInterface]
    ) -> None:
        self._origin = origin_of(base_url)
        self._connect = connect
        self._idle: IdleConnections[httpcore.AsyncConnectionInterface] = IdleConnections()
        self._busy: set[httpcore.AsyncConnectionInterface] = set()
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        core = core_request(request)
        connection = await self._take(core.url.origin)
        self._busy.add(connection)
        try:
            with httpx_errors():
                response = await connection.handle_async_request(core)
        except BaseException:
            await self._release(connection, reusable=False)
            raise
        return response_of(response, _Body(response, partial(self._release, connection)))

    async def aclose(self) -> None:
        self._closed = True
        for connection in (*self._idle.take_all(), *tuple(self._busy)):
            await connection.aclose()
        self._busy.clear()

    async def _take(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        for expired in self._idle.take_expired():
            await expired.aclose()
        while origin == self._origin and (connection := self._idle.take()) is not None:
            if not connection.has_expired():  # the server has closed it
                return connection
            await connection.aclose()
        return self._connect(origin)

    async def _release(self, connection: httpcore.AsyncConnectionInterface, *, reusable: bool = True) -> None:
        self._busy.discard(connection)
        if not connection.is_closed():
            reusable = reusable and connection.is_idle() and connection.can_handle_request(self._origin)
            if reusable and not self._closed:
                self._idle.put(connection)
            else:
                await connection.aclose()
        if self._closed:
            # It may have been closed after the question above, too.
            await self.aclose()


class _Body(httpx.AsyncByteStream):
    """Body of a response; gives its connection back when it is closed."""

    def __init__(self, response: httpcore.Response, release: Callable[..., Awaitable[None]]) -> None:
        self._response = response
        self._release = release
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with httpx_errors():
            async for chunk in self._response.aiter_stream():
                yield chunk

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            await self._response.aclose()
        except BaseException:
            # An interruption, as by Ctrl-C, may leave the connection's lock taken.
            await self._release(reusable=False)
            raise
        await self._release()
