"""Connection pools of the asynchronous client: one for each event loop."""

from __future__ import annotations

import asyncio
import atexit
import weakref
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any, Final, Protocol

import attrs
import httpcore

from .._config import Config
from ..errors import ConfigurationError
from .async_background import AsyncBackground
from .async_http_connection import AsyncDirectConnection
from .async_network import AsyncioBackend
from .async_origin_transport import AsyncOriginTransport
from .async_proxy_connection import AsyncProxyConnection
from .base_url import parse_base_url
from .cancellation import running_loop
from .core_urls import origin_of
from .http_options import CLIENT_CLOSED, proxy_for, tls_context
from .messages import Server


class Call(Protocol):
    """A call or stream in progress."""

    async def end(self) -> None: ...

    def abandon(self) -> None: ...


@attrs.frozen(eq=False)
class _LoopPool:
    transport: AsyncOriginTransport
    guard: AsyncGenerator[None, None]
    """Closes the pool; suspended until then."""


class AsyncPools:
    """Connections of one client and of the clients made from it by ``with_options``."""

    def __init__(self, config: Config) -> None:
        self._server = parse_base_url(config.base_url).server
        self._config = config
        # A connection belongs to the loop that opened it; a second asyncio.run() gets its own.
        self._by_loop: dict[asyncio.AbstractEventLoop, _LoopPool] = {}
        # Strong references: the collector would close an operation together with the cycle that holds it, before the
        # operation could clean up.
        self.calls: set[Call] = set()
        self._background: set[AsyncBackground] = set()
        self.closed = False
        _all_pools.add(self)

    def transport(self) -> AsyncOriginTransport:
        """Return the running loop's transport. Raises ConfigurationError if the pools are closed."""
        if self.closed:
            raise ConfigurationError(CLIENT_CLOSED)
        loop = running_loop()
        pool = self._by_loop.get(loop)
        if pool is None:
            transport = _open(self._server, self._config)
            guard = self._close_with_loop(loop, transport)
            # Run the guard to its yield, so that the loop knows it and closes it when asyncio.run() ends.
            with suppress(StopIteration):
                guard.__anext__().send(None)
            pool = self._by_loop[loop] = _LoopPool(transport, guard)
        return pool.transport

    def open_transport(self) -> AsyncOriginTransport | None:
        """Return the running loop's transport if it is open; None if it is closed, or going to be with its loop."""
        pool = None if self.closed else self._by_loop.get(running_loop())
        return None if pool is None else pool.transport

    def keep(self, background: AsyncBackground) -> None:
        """Hold background work until it is done; hand it to a thread when its pool is closed before."""
        if not background.done.done():
            self._background.add(background)
            background.done.add_done_callback(lambda _: self._background.discard(background))

    async def aclose(self) -> None:
        """End the calls and streams in progress, and close the running loop's connections."""
        self.closed = True
        for call in list(self.calls):
            await call.end()
        for background in list(self._background):
            background.hand_over()
        pool = self._by_loop.get(running_loop())
        if pool is not None:
            await pool.guard.aclose()

    async def _close_with_loop(
        self, loop: asyncio.AbstractEventLoop, transport: AsyncOriginTransport
    ) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._by_loop.pop(loop, None)
            for background in list(self._background):
                if background.loop is loop:
                    background.hand_over()
            await transport.aclose()


_all_pools: Final[weakref.WeakSet[AsyncPools]] = weakref.WeakSet()


@atexit.register
def _abandon_calls() -> None:
    """Cancel the tasks of streams whose event loop has stopped without closing them."""
    for pools in list(_all_pools):
        for call in list(pools.calls):
            call.abandon()


def _open(server: Server, config: Config) -> AsyncOriginTransport:
    context, proxy, backend = tls_context(server.scheme, config), proxy_for(server, config), AsyncioBackend()
    if proxy is None:
        return AsyncOriginTransport(
            server, lambda server: AsyncDirectConnection(server, backend, tls_context(server.scheme, config))
        )
    kind = httpcore.AsyncSOCKSProxy if proxy.is_socks else httpcore.AsyncHTTPProxy
    pool: Any = kind(ssl_context=context, network_backend=backend, **proxy.options)
    return AsyncOriginTransport(server, lambda server: AsyncProxyConnection(pool.create_connection(origin_of(server))))
