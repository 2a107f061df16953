"""Transports below an httpx client that a user holds: exceptions leave them without frames that hold the key."""

from __future__ import annotations

import httpx

from .foreign_errors import cleaned


class CleaningTransport(httpx.BaseTransport):
    """Synchronous transport."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._inner.handle_request(request)
        except BaseException as error:
            failure = cleaned(error)
        raise failure


class AsyncCleaningTransport(httpx.AsyncBaseTransport):
    """Asynchronous transport."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._inner.handle_async_request(request)
        except BaseException as error:
            failure = cleaned(error)
        raise failure
