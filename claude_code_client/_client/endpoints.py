"""``client.api``: the ``client`` argument of generated endpoints, with stripped tracebacks."""

from __future__ import annotations

from typing import Self, TypeVar

from .._transport import endpoints
from .._transport.async_connection import AsyncConnection
from .._transport.sync_connection import SyncConnection
from .tracebacks import strip_tracebacks

C = TypeVar("C", SyncConnection, AsyncConnection)


class _Stripped(endpoints.Endpoints[C]):
    """A mixin for the transport's classes, whose exceptions would show headers in their frames."""

    @strip_tracebacks
    def with_headers(self, headers: dict[str, str]) -> Self:
        """Return a client with more headers on the same connections; this one stays as it is."""
        return super().with_headers(headers)

    @strip_tracebacks
    def with_cookies(self, cookies: dict[str, str]) -> Self:
        """Return a client with cookies on the same connections; this one stays as it is."""
        return super().with_cookies(cookies)


class SyncEndpoints(_Stripped[SyncConnection], endpoints.SyncEndpoints):
    __doc__ = endpoints.SyncEndpoints.__doc__


class AsyncEndpoints(_Stripped[AsyncConnection], endpoints.AsyncEndpoints):
    __doc__ = endpoints.AsyncEndpoints.__doc__
