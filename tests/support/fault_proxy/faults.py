"""Faults that the proxy injects into an exchange between a client and a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from support.servers import raw_http

Way = Literal["fin", "rst"]
"""End of a connection: a clean close or a reset."""


@dataclass(frozen=True)
class CutRequest:
    """End the connection after ``at`` bytes of the request, which the server receives."""

    at: int
    by: Way

    @property
    def name(self) -> str:
        return f"request cut, {self.by}"


@dataclass(frozen=True)
class StallRequest:
    """Pass ``at`` bytes of the request to the server, then do nothing more."""

    at: int = 0
    name = "request stalled"


@dataclass(frozen=True)
class Refuse:
    """Reset the connection and accept no other for some seconds."""

    seconds: float
    name = "refused"


@dataclass(frozen=True)
class CutResponse:
    """End the connection after ``at`` bytes of the response."""

    at: int
    by: Way

    @property
    def name(self) -> str:
        return f"response cut, {self.by}"


@dataclass(frozen=True)
class Stall:
    """Send nothing for some seconds, or for ever, after ``at`` bytes of the response."""

    at: int = 0
    seconds: float | None = None

    @property
    def name(self) -> str:
        return "response stalled" if self.seconds is None else "response delayed"


@dataclass(frozen=True)
class Drip:
    """Send the response byte by byte after its first ``at`` bytes, one every ``interval`` seconds."""

    at: int = 0
    interval: float = 0.05
    name = "response dripped"


@dataclass(frozen=True)
class Response:
    """Send this response in place of the server's; with ``forward`` the server receives the request all the same."""

    raw: bytes
    name: str
    forward: bool = False
    close: bool = False


Fault = CutRequest | StallRequest | Refuse | CutResponse | Stall | Drip | Response
StartFault = CutRequest | StallRequest | Refuse
"""Faults that a plan has to return before the request is read."""


def response(status: int, body: Any = b"", *, forward: bool = False, **headers: str) -> Response:
    """Return a response that the proxy sends itself; ``forward`` passes the request on all the same."""
    return Response(b"".join(raw_http.response(status, body, **headers)), str(status), forward)


_TYPES = {429: "rate_limit_error", 500: "server_error", 503: "overloaded_error", 529: "overloaded_error"}


def error_response(status: int, retry_after: str | None = None, *, forward: bool = False) -> Response:
    """Return an error response of the API."""
    body = {"error": {"type": _TYPES.get(status, "server_error"), "message": "No."}}
    headers = {} if retry_after is None else {"Retry_After": retry_after}
    return response(status, body, forward=forward, **headers)


def gateway_page(status: int, *, forward: bool = False) -> Response:
    """Return the HTML page of a gateway between client and server."""
    return response(status, b"<html><body>Gateway</body></html>", forward=forward, Content_Type="text/html")


GARBAGE = Response(b"\x00\xff\x13garbage, not HTTP\r\n\r\n" * 4, "garbage", close=True)
