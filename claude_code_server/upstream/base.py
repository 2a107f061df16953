"""What a place that answers Messages requests looks like to the server."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol

from .sse import Event

_OWN_TYPES = {
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "overloaded_error",
}


class UpstreamError(Exception):
    """An upstream refused, failed or could not be reached.

    ``status`` and ``type`` are the upstream's own, in the Messages format; a connection that fails or breaks
    is 502 ``api_error``. ``retry_after`` is in seconds. The message never holds a key.
    """

    def __init__(self, status: int, type: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(status, type, message, retry_after)
        self.status = status
        self.type = type
        self.message = message
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message

    @property
    def contract_type(self) -> str:
        """The error type under which the server's own API tells of it."""
        return self.type if self.type in _OWN_TYPES else "server_error"


class Upstream(Protocol):
    """Answers Messages requests. ``beta`` is the value of an ``anthropic-beta`` header to pass on."""

    name: str
    """For people: what is asked, without credentials."""
    free: bool
    """Whether its tokens cost nothing, whatever the model is called."""

    async def complete(self, request: Mapping[str, Any], *, beta: str | None = None) -> dict[str, Any]:
        """One whole reply. Raises UpstreamError."""
        ...

    def stream(self, request: Mapping[str, Any], *, beta: str | None = None) -> AsyncGenerator[Event, None]:
        """The reply as events, ``message_stop`` last. Raises UpstreamError, also in the middle."""
        ...

    async def count_tokens(self, request: Mapping[str, Any], *, beta: str | None = None) -> int:
        """Prompt tokens of a request. Raises UpstreamError."""
        ...

    async def aclose(self) -> None:
        """Close its connections."""
