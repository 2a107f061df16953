"""``client.api``: the ``client`` argument of generated endpoints, with stripped tracebacks."""

from __future__ import annotations

from typing import Self, TypeVar

from .. import _transport
from .._transport import AsyncConnection, SyncConnection
from .tracebacks import strip_tracebacks

C = TypeVar("C", SyncConnection, AsyncConnection)


class _Stripped(_transport.Endpoints[C]):
    """A mixin for the transport's classes, whose exceptions would show headers in their frames."""

    @strip_tracebacks
    def with_headers(self, headers: dict[str, str]) -> Self:
        """Return a client with more headers on the same connections; this one stays as it is."""
        return super().with_headers(headers)

    @strip_tracebacks
    def with_cookies(self, cookies: dict[str, str]) -> Self:
        """Return a client with cookies on the same connections; this one stays as it is."""
        return super().with_cookies(cookies)


class SyncEndpoints(_Stripped[SyncConnection], _transport.SyncEndpoints):
    __doc__ = _transport.SyncEndpoints.__doc__


class AsyncEndpoints(_Stripped[AsyncConnection], _transport.AsyncEndpoints):
    __doc__ = _transport.AsyncEndpoints.__doc__
