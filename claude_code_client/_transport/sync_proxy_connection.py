"""Connections of the synchronous client through a proxy. Twin of ``async_proxy_connection``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import httpcore

from .core_urls import core_url
from .http11 import Headers
from .messages import HttpRequest


class SyncProxyConnection:
    """Connection through a proxy, as httpcore makes it."""

    def __init__(self, inner: httpcore.ConnectionInterface) -> None:
        self._inner = inner
        self._response: Any = None
        self._chunks: Iterator[bytes] = iter(())

    def exchange(self, request: HttpRequest, headers: Headers, timeouts: dict[str, float]) -> tuple[int, Headers]:
        url = core_url(request.server, request.target.encode("ascii"))
        extensions = {"timeout": timeouts}
        response = self._inner.handle_request(
            httpcore.Request(request.method, url, headers=headers, content=request.body, extensions=extensions)
        )
        self._response, self._chunks = response, iter(cast("Iterable[bytes]", response.stream))
        return response.status, response.headers

    def read(self) -> bytes | None:
        return next(self._chunks, None)

    def finish(self) -> bool:
        self._response.close()
        return self._inner.is_idle()

    def has_expired(self) -> bool:
        return self._inner.has_expired()

    def close(self) -> None:
        self._inner.close()
