"""Options of one request, on their way from a driver to the retrying transport."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import attrs
import httpx

from .._operations.effects import Delivery, Head
from ..errors import ClosedError
from .cancellation import CancelToken
from .content_decoding import CODING

_EXTENSION: Final = "claude_code_client"
OnCancelled = Callable[[ClosedError], object]
"""Called when a coroutine's call is cancelled, with the exception that it may raise instead."""


@attrs.frozen(kw_only=True)
class RequestContext:
    """Options that httpx has no arguments for. They travel in the extensions of the request."""

    deadline: float
    """Seconds on the monotonic clock."""
    repeatable: bool | None = None
    """True if the server may receive the request twice without harm; None to decide by method and Idempotency-Key."""
    delivery: Delivery | None = None
    """Delivery of a call that runs work, to be kept up to date."""
    stream: bool = False
    read_timeout: float | None = None
    """Seconds without a byte after which the connection counts as dead."""
    token: CancelToken | None = None
    """Ends the call from another thread; None if the transport has to make one."""
    on_cancelled: OnCancelled | None = None

    def as_extensions(self) -> dict[str, Any]:
        """Return the ``extensions`` argument of a request."""
        return {_EXTENSION: self}

    @classmethod
    def of(cls, request: httpx.Request, timeout: float) -> RequestContext:
        """Return the context of a request; for one without, as generated endpoints send, one with this timeout."""
        context: RequestContext | None = request.extensions.get(_EXTENSION)
        return context or cls(deadline=time.monotonic() + timeout)


def head(response: httpx.Response) -> Head:
    """Return what an operation needs of a response whose body it reads."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    if coding := response.extensions[CODING]:
        headers["content-encoding"] = coding
    return Head(
        status_code=response.status_code,
        headers=headers,
        attempts=response.extensions["attempts"],
        history=response.extensions["history"],
    )
