"""Connection pool of the synchronous client: one for each process."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from .._config import Config
from ..errors import ConfigurationError
from .base_url import parse_base_url
from .cancellation import CancelRegistry
from .http_options import CLIENT_CLOSED, proxy_for, tls_context
from .messages import Server

if TYPE_CHECKING:
    from .sync_origin_transport import SyncOriginTransport


class Call(Protocol):
    """A stream or another call of several steps."""

    def end(self) -> None:
        """End it with ClosedError for whoever waits for it."""

    def abort(self) -> None:
        """End it as if its caller had left it."""


_Streams = dict[tuple[int, int], weakref.ref[Call]]
"""Streams that exist, by process and identity."""


class SyncPool:
    """Connections of one client and of the clients made from it by ``with_options``."""

    def __init__(self, config: Config) -> None:
        self._server = parse_base_url(config.base_url).server
        self._config = config
        # A forked process must not use its parent's sockets: it opens its own, and leaves those open.
        self._by_process: dict[int, SyncOriginTransport] = {}
        self._streams: _Streams = {}
        self.tokens = CancelRegistry()
        self.closed = False
        # A client that nobody closes is closed when it is collected, or when the process ends.
        self._finalize = weakref.finalize(self, _close_own, self._by_process, self._streams)

    def transport(self) -> SyncOriginTransport:
        """Return this process's transport. Raises ConfigurationError if the pool is closed."""
        if self.closed:
            raise ConfigurationError(CLIENT_CLOSED)
        process = os.getpid()
        transport = self._by_process.get(process)
        if transport is None:
            transport = self._by_process.setdefault(process, _open(self._server, self._config))
        return transport

    def keep(self, stream: Call) -> None:
        """End the stream with the pool, or with the process, if it still exists then."""
        key = (os.getpid(), id(stream))
        streams = self._streams
        streams[key] = weakref.ref(stream, lambda _: streams.pop(key, None))

    def close(self) -> None:
        """End the calls and streams in progress, and close this process's connections."""
        self.closed = True
        self.tokens.close()
        for stream in _own(self._streams):
            stream.end()
        # Not by the finalizer, which runs once: a close that Ctrl-C has interrupted is repeated.
        _close_own(self._by_process, self._streams)
        self._finalize.detach()


def _open(server: Server, config: Config) -> SyncOriginTransport:
    # Programs that only make a client, or have yet to make a call, do without what these import.
    from .deadline_network import DeadlineBackend
    from .sync_http_connection import SyncDirectConnection
    from .sync_origin_transport import SyncOriginTransport

    context, proxy, backend = tls_context(server.scheme, config), proxy_for(server, config), DeadlineBackend()
    if proxy is None:
        return SyncOriginTransport(
            server, lambda server: SyncDirectConnection(server, backend, tls_context(server.scheme, config))
        )
    import httpcore

    from .core_urls import origin_of
    from .sync_proxy_connection import SyncProxyConnection

    kind = httpcore.SOCKSProxy if proxy.is_socks else httpcore.HTTPProxy
    pool: Any = kind(ssl_context=context, network_backend=backend, **proxy.options)
    # The pool makes connections, and holds none: it has a lock that a signal handler would wait for.
    return SyncOriginTransport(server, lambda server: SyncProxyConnection(pool.create_connection(origin_of(server))))


def _own(streams: _Streams) -> list[Call]:
    # A fork has copies of its parent's streams.
    found = [reference() for (process, _), reference in list(streams.items()) if process == os.getpid()]
    return [stream for stream in found if stream is not None]


def _close_own(by_process: dict[int, SyncOriginTransport], streams: _Streams) -> None:
    for stream in _own(streams):
        stream.abort()
    transport = by_process.get(os.getpid())
    if transport is not None:
        transport.close()
        by_process.pop(os.getpid(), None)
