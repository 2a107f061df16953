"""Exceptions of connections as exceptions of this library. httpcore's own are not kept: their frames hold the key."""

from __future__ import annotations

from typing import Final

import httpcore

from .._policy.retry import is_safe
from ..errors import APIConnectionError, ClaudeAPIError, ConfigurationError, TimeoutError, UnexpectedResponseError
from .content_decoding import DecodingError
from .messages import HttpResponse, Server

TransportFailure = (
    httpcore.TimeoutException
    | httpcore.NetworkError
    | httpcore.ProtocolError
    | httpcore.ProxyError
    | httpcore.UnsupportedProtocol
    | httpcore.ConnectionNotAvailable
    | DecodingError
)
"""Exceptions of an attempt."""
FAILURES: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    httpcore.ConnectionNotAvailable,
    DecodingError,
)
"""Exceptions of ``TransportFailure``, for ``except``."""

CONNECT_TIMEOUT: Final = 10.0
"""Seconds; a live server accepts a connection sooner, however long its response takes."""
DEADLINE_PASSED: Final = "deadline"
"""Message of the exceptions that stand for a deadline of this library."""
_CHECK_SERVER: Final = "Check that the server runs, and base_url or CLAUDE_BASE_URL."


def translate(failure: TransportFailure, server: Server, *, overdue: bool = False) -> ClaudeAPIError:
    """Return this library's exception; ``overdue`` says that the deadline of the call has passed."""
    url = server.url
    reason = (str(failure) or type(failure).__name__).rstrip(".")
    match failure:
        case httpcore.ConnectError():
            return APIConnectionError(f"Cannot connect to {url}: {reason}. {_CHECK_SERVER}")
        case httpcore.TimeoutException() if overdue:
            return TimeoutError(f"The call to {url} did not end within its timeout. Use a larger timeout.")
        case httpcore.ConnectTimeout():
            return APIConnectionError(f"{url} accepted no connection within {CONNECT_TIMEOUT:g} s. {_CHECK_SERVER}")
        case httpcore.TimeoutException():
            return APIConnectionError(f"{url} sent nothing for too long ({type(failure).__name__}). {_CHECK_SERVER}")
        case httpcore.LocalProtocolError() | httpcore.UnsupportedProtocol():
            return ConfigurationError(f"The request to {url} cannot be sent: {reason}.")
        case DecodingError():
            return UnexpectedResponseError(f"The response of {url} cannot be read: {reason}.")
        case _:
            return APIConnectionError(
                f"The connection to {url} was cut before the response was complete: {reason}. {_CHECK_SERVER}"
            )


def body_error(failure: TransportFailure, response: HttpResponse, *, overdue: bool) -> ClaudeAPIError:
    """Return the exception for a response body that was cut."""
    error = translate(failure, response.request.server, overdue=overdue)
    error.attempts = response.extensions.get("attempts", 1)
    error.history = (
        *response.extensions.get("history", ()),
        f"{response.status_code}, then {type(error).__name__}",
    )
    error.outcome_unknown = not is_safe(response.request.method)
    return error
