"""httpx clients for generated endpoints, on the connections and with the retries of one of this library's clients.

Requests of generated endpoints take a short way, which skips what they do not need of httpx: merging of URLs, cookies,
redirects. Whatever else is asked of these clients goes through httpx and a transport of its own.
"""

from __future__ import annotations

import time
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import httpx

from .._config import Config
from .async_transport import AsyncRetryTransport
from .base_url import server_of
from .content_decoding import ACCEPTED
from .foreign_errors import cleaned
from .http_options import default_headers
from .messages import HttpRequest, HttpResponse
from .response_check import check, check_async
from .sync_transport import SyncRetryTransport

_SHORT: Final = frozenset({"json", "headers", "params"})
"""Arguments of requests that can take the short way."""


class SyncEndpointClient(httpx.Client):
    """The ``httpx.Client`` of ``ClaudeClient.api``."""

    def __init__(self, http: SyncRetryTransport, config: Config) -> None:
        transport = SyncEndpointTransport(http, config)
        super().__init__(**_options(config), transport=transport, event_hooks={"response": [check]})
        self._http = http
        self._config = config
        self._own_headers = self.headers.raw

    def request(self, method: str, url: httpx.URL | str, **arguments: Any) -> httpx.Response:
        """Send a request and return its response, a success."""
        if not _is_short(self, self._own_headers, url, arguments):
            return super().request(method, url, **arguments)
        try:
            request = self._http.requests.endpoint(method, str(url), arguments, timeout=self._config.timeout)
            response = _response_with_request(self._http.handle(request))
            check(response)
        except BaseException as error:
            failure = cleaned(error)
        else:
            return response
        raise failure


class AsyncEndpointClient(httpx.AsyncClient):
    """The ``httpx.AsyncClient`` of ``AsyncClaudeClient.api``. Twin of ``SyncEndpointClient``."""

    def __init__(self, http: AsyncRetryTransport, config: Config) -> None:
        transport = AsyncEndpointTransport(http, config)
        super().__init__(**_options(config), transport=transport, event_hooks={"response": [check_async]})
        self._http = http
        self._config = config
        self._own_headers = self.headers.raw

    async def request(self, method: str, url: httpx.URL | str, **arguments: Any) -> httpx.Response:
        """Send a request and return its response, a success."""
        if not _is_short(self, self._own_headers, url, arguments):
            return await super().request(method, url, **arguments)
        try:
            request = self._http.requests.endpoint(method, str(url), arguments, timeout=self._config.timeout)
            response = _response_with_request(await self._http.handle(request))
            check(response)
        except BaseException as error:
            failure = cleaned(error)
        else:
            return response
        raise failure


def _options(config: Config) -> dict[str, Any]:
    return {
        "base_url": config.base_url,
        "headers": {"Accept-Encoding": ACCEPTED, **default_headers(config)},
        # None are kept: they would grow without bound, and the API has none.
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        "trust_env": False,
    }


def _is_short(
    client: httpx.Client | httpx.AsyncClient, own_headers: list[Any], url: httpx.URL | str, arguments: dict[str, Any]
) -> bool:
    return (
        isinstance(url, str)
        and url.startswith("/")
        and arguments.keys() <= _SHORT
        and client.headers.raw == own_headers
    )


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


def _response_with_request(response: HttpResponse) -> httpx.Response:
    request = response.request
    got = _response(response)
    got.request = httpx.Request(request.method, _url(f"{request.server.url}{request.target}"))
    return got


@lru_cache(maxsize=256)
def _url(text: str) -> httpx.URL:
    return httpx.URL(text)
