"""Requests, responses and exceptions of httpx in terms of httpcore, whose connections the transports use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpcore
import httpx

KEEPALIVE_EXPIRY: Final = 30.0
"""Seconds after which an idle connection is closed."""
_ERRORS: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


def origin_of(url: httpx.URL) -> httpcore.Origin:
    """Return the origin of a URL: scheme, host and port."""
    return _url(url).origin


def core_request(request: httpx.Request) -> httpcore.Request:
    """Return a request for a connection of httpcore."""
    return httpcore.Request(
        request.method,
        _url(request.url),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def response_of(response: httpcore.Response, stream: httpx.SyncByteStream | httpx.AsyncByteStream) -> httpx.Response:
    """Return a response with the head of ``response`` and another body."""
    return httpx.Response(
        response.status, headers=response.headers, stream=stream, extensions=dict[str, Any](response.extensions)
    )


@contextmanager
def httpx_errors() -> Iterator[None]:
    """Raise the exceptions of httpcore as those of httpx, which have the same names."""
    try:
        yield
    except httpcore.ConnectionNotAvailable as error:
        raise httpx.ReadError("closed") from error  # since the request has taken it
    except _ERRORS as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error


def _url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
