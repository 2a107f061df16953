"""Exceptions of httpx as exceptions of this library. httpx's own are not kept: their frames hold the key."""

from __future__ import annotations

from typing import Final

import httpx

from .._policy.retry import is_safe
from ..errors import APIConnectionError, ClaudeAPIError, ConfigurationError, TimeoutError, UnexpectedResponseError

TransportFailure = httpx.HTTPError | httpx.StreamError
"""Exceptions that a transport of httpx raises."""

CONNECT_TIMEOUT: Final = 10.0
"""Seconds; a live server accepts a connection sooner, however long its response takes."""
DEADLINE_PASSED: Final = "deadline"
"""Message of the httpx exceptions that stand for a deadline of this library."""
_CHECK_SERVER: Final = "Check that the server runs, and base_url or CLAUDE_BASE_URL."


def translate(failure: TransportFailure | httpx.InvalidURL, url: httpx.URL, *, overdue: bool = False) -> ClaudeAPIError:
    """Return this library's exception; ``overdue`` says that the deadline of the call has passed."""
    server = origin(url)
    reason = (str(failure) or type(failure).__name__).rstrip(".")
    match failure:
        case httpx.ConnectError():
            return APIConnectionError(f"Cannot connect to {server}: {reason}. {_CHECK_SERVER}")
        case httpx.TimeoutException() if overdue:
            return TimeoutError(f"The call to {server} did not end within its timeout. Use a larger timeout.")
        case httpx.ConnectTimeout():
            return APIConnectionError(f"{server} accepted no connection within {CONNECT_TIMEOUT:g} s. {_CHECK_SERVER}")
        case httpx.TimeoutException():
            return APIConnectionError(f"{server} sent nothing for too long ({type(failure).__name__}). {_CHECK_SERVER}")
        case httpx.LocalProtocolError() | httpx.UnsupportedProtocol() | httpx.InvalidURL():
            return ConfigurationError(f"The request to {server} cannot be sent: {reason}.")
        case httpx.DecodingError() | httpx.TooManyRedirects():
            return UnexpectedResponseError(f"The response of {server} cannot be read: {reason}.")
        case _:
            return APIConnectionError(
                f"The connection to {server} was cut before the response was complete: {reason}. {_CHECK_SERVER}"
            )


def body_error(failure: TransportFailure, response: httpx.Response, *, overdue: bool) -> ClaudeAPIError:
    """Return the exception for a response body that was cut."""
    error = translate(failure, response.url, overdue=overdue)
    error.attempts = response.extensions.get("attempts", 1)
    error.history = (
        *response.extensions.get("history", ()),
        f"{response.status_code}, then {type(error).__name__}",
    )
    error.outcome_unknown = not is_safe(response.request.method)
    return error


def origin(url: httpx.URL) -> str:
    """Return scheme, host and port."""
    port = f":{url.port}" if url.port else ""
    return f"{url.scheme}://{url.host}{port}"
