"""Connections of the asynchronous client through a proxy. Twin of ``sync_proxy_connection``."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, cast

import httpcore

from .core_urls import core_url
from .http11 import Headers
from .messages import HttpRequest


class AsyncProxyConnection:
    """Connection through a proxy, as httpcore makes it."""

    def __init__(self, inner: httpcore.AsyncConnectionInterface) -> None:
        self._inner = inner
        self._response: Any = None
        self._chunks: AsyncIterator[bytes] | None = None

    async def exchange(self, request: HttpRequest, headers: Headers, timeouts: dict[str, float]) -> tuple[int, Headers]:
        url = core_url(request.server, request.target.encode("ascii"))
        extensions = {"timeout": timeouts}
        response = await self._inner.handle_async_request(
            httpcore.Request(request.method, url, headers=headers, content=request.body, extensions=extensions)
        )
        self._response, self._chunks = response, aiter(cast("AsyncIterable[bytes]", response.stream))
        return response.status, response.headers

    async def read(self) -> bytes | None:
        return None if self._chunks is None else await anext(self._chunks, None)

    async def finish(self) -> bool:
        await self._response.aclose()
        return self._inner.is_idle()

    def has_expired(self) -> bool:
        return self._inner.has_expired()

    async def aclose(self) -> None:
        await self._inner.aclose()
