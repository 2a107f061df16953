"""Calls of hooks. What ``on_request`` raises ends the call; the others come too late for that, and only log."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from .._operations.hooks import RequestInfo, ResponseInfo
from .._wire.response_headers import rate_limit
from .attempts import CallAttempts
from .failures import TransportFailure
from .foreign_errors import await_callback, call_callback, cleaned
from .messages import HttpResponse

logger = logging.getLogger("claude_code_client")


def request_info(call: CallAttempts) -> RequestInfo:
    """Return what hooks are told of the next request of a call."""
    request, attempt = call.upcoming
    key = request.header(b"idempotency-key")
    return RequestInfo(method=request.method, path=request.path, attempt=attempt, idempotency_key=key)


def response_info(call: CallAttempts, request: RequestInfo, outcome: HttpResponse | TransportFailure) -> ResponseInfo:
    """Return what hooks are told of the outcome of a request."""
    if isinstance(outcome, Exception):
        return ResponseInfo(request=request, status_code=None, failure=type(outcome).__name__, elapsed=call.elapsed)
    return ResponseInfo(
        request=request,
        status_code=outcome.status_code,
        elapsed=call.elapsed,
        request_id=outcome.headers.get("X-Request-Id"),
        rate_limit=rate_limit(outcome.headers),
    )


def call_hook(hook: Callable[[Any], object], info: object) -> None:
    """Call a hook. A coroutine function gets no further: here is no event loop, only the cleanup after one."""
    result = call_callback(hook, info)
    if isinstance(result, Coroutine):
        result.close()


async def await_hook(hook: Callable[[Any], object], info: object) -> None:
    """Call a hook, and await what it returns if that can be awaited."""
    result = call_callback(hook, info)
    if inspect.isawaitable(result):
        await await_callback(result)


def tell(name: str, hook: Callable[[Any], object], info: object) -> None:
    """Call a hook about something that has happened. Its exception is logged: it must not lose a paid result."""
    try:
        call_hook(hook, info)
    except Exception as error:
        _log(name, error)


async def tell_async(name: str, hook: Callable[[Any], object], info: object) -> None:
    """Call a hook, like :func:`tell`, and await it."""
    try:
        await await_hook(hook, info)
    except Exception as error:
        _log(name, error)


def _log(name: str, error: Exception) -> None:
    logger.warning("%s raised an exception, which does not affect the call", name, exc_info=cleaned(error))
