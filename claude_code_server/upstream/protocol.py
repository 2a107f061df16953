"""Interface of an upstream, and its errors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final, Protocol

from .messages_stream import MessagesEvent

ERROR_TYPE_BY_STATUS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}
"""Error types that the Messages format and the contract share."""


class UpstreamError(Exception):
    """An upstream refused a request, failed, or could not be reached. The message never contains a key.

    ``status`` and ``type`` are those of the upstream, in the Messages format; a failed or broken connection is
    502 ``api_error``. ``retry_after`` is in seconds. ``may_be_billed`` if the upstream may charge for the request,
    because it received the request and did not refuse it.
    """

    def __init__(
        self, status: int, type: str, message: str, retry_after: float | None = None, may_be_billed: bool = False
    ) -> None:
        super().__init__(status, type, message, retry_after, may_be_billed)
        self.status = status
        self.type = type
        self.message = message
        self.retry_after = retry_after
        self.may_be_billed = may_be_billed

    def __str__(self) -> str:
        return self.message

    @property
    def contract_type(self) -> str:
        """Error type under which the server reports the error to its own clients."""
        return self.type if self.type in ERROR_TYPE_BY_STATUS.values() else "server_error"


class Upstream(Protocol):
    """Source of model responses. ``beta`` is the value of an ``anthropic-beta`` header to forward."""

    name: str
    """Name for people: kind or URL, without credentials."""
    free: bool
    """True if tokens cost nothing, whatever the model."""
    local: bool
    """True if the upstream runs on this machine."""

    def is_instant(self, request: Mapping[str, Any]) -> bool:
        """Return whether ``complete`` has the response to a request without waiting for anything."""
        ...

    async def complete(self, request: Mapping[str, Any], *, beta: str | None = None) -> dict[str, Any]:
        """Return the response to a Messages request. Raise UpstreamError."""
        ...

    def stream(self, request: Mapping[str, Any], *, beta: str | None = None) -> AsyncGenerator[MessagesEvent, None]:
        """Stream the response as events up to ``message_stop``. Raise UpstreamError, possibly after some events."""
        ...

    async def count_tokens(self, request: Mapping[str, Any], *, beta: str | None = None) -> int:
        """Return the number of prompt tokens of a request. Raise UpstreamError."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
