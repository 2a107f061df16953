"""Transports of httpx for generated endpoints, on the connections and with the retries of a client."""

from __future__ import annotations

import time
from typing import Any

import httpx

from .._config import Config
from .async_transport import AsyncRetryTransport
from .content_decoding import ACCEPTED
from .foreign_errors import cleaned
from .http_options import default_headers
from .messages import HttpRequest, HttpResponse
from .request_builder import server_of
from .sync_transport import SyncRetryTransport


def endpoint_client_options(config: Config) -> dict[str, Any]:
    """Return the arguments of an httpx client for generated endpoints."""
    return {
        "base_url": config.base_url,
        "headers": {"Accept-Encoding": ACCEPTED, **default_headers(config)},
        "trust_env": False,
    }


class SyncEndpointTransport(httpx.BaseTransport):
    """Synchronous transport. Exceptions leave it without frames that hold the key."""

    def __init__(self, http: SyncRetryTransport, config: Config) -> None:
        self._http = http
        self._config = config

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return _response(self._http.handle(_request(request, self._config)))
        except BaseException as error:
            failure = cleaned(error)
        raise failure


class AsyncEndpointTransport(httpx.AsyncBaseTransport):
    """Asynchronous transport. Twin of ``SyncEndpointTransport``."""

    def __init__(self, http: AsyncRetryTransport, config: Config) -> None:
        self._http = http
        self._config = config

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return _response(await self._http.handle(_request(request, self._config)))
        except BaseException as error:
            failure = cleaned(error)
        raise failure


def _request(request: httpx.Request, config: Config) -> HttpRequest:
    stream: Any = request.stream
    return HttpRequest(
        method=request.method,
        server=server_of(request.url),
        target=request.url.raw_path.decode("ascii"),
        headers=[(name.lower(), value) for name, value in request.headers.raw],
        body=request.content if isinstance(stream, httpx.ByteStream) else stream,
        deadline=time.monotonic() + config.timeout,
    )


def _response(response: HttpResponse) -> httpx.Response:
    # The body is decoded already.
    headers = [item for item in response.raw_headers if item[0].lower() != b"content-encoding"]
    return httpx.Response(
        response.status_code, headers=headers, content=response.content, extensions=response.extensions
    )
