"""What can happen to an exchange between a client and a server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

Way = Literal["fin", "rst"]
"""How a connection ends: by a clean close or by a reset."""


@dataclass(frozen=True)
class CutRequest:
    """The connection ends when ``at`` bytes of the request have come; the server gets those."""

    at: int
    by: Way

    @property
    def name(self) -> str:
        return f"request cut, {self.by}"


@dataclass(frozen=True)
class StallRequest:
    """The server gets ``at`` bytes of the request, and then nothing happens any more."""

    at: int = 0
    name = "request stalled"


@dataclass(frozen=True)
class Refuse:
    """The connection is reset, and no other is accepted for some seconds."""

    seconds: float
    name = "refused"


@dataclass(frozen=True)
class CutResponse:
    """The connection ends when ``at`` bytes of the response have gone out."""

    at: int
    by: Way

    @property
    def name(self) -> str:
        return f"response cut, {self.by}"


@dataclass(frozen=True)
class Stall:
    """Nothing more comes for some seconds, or ever, once ``at`` bytes of the response have gone out."""

    at: int = 0
    seconds: float | None = None

    @property
    def name(self) -> str:
        return "response stalled" if self.seconds is None else "response delayed"


@dataclass(frozen=True)
class Drip:
    """After ``at`` bytes the response comes byte by byte, one every ``interval`` seconds."""

    at: int = 0
    interval: float = 0.05
    name = "response dripped"


@dataclass(frozen=True)
class Response:
    """An answer that is not the server's. With ``forward`` the server got the request all the same."""

    raw: bytes
    name: str
    forward: bool = False
    close: bool = False


Fault = CutRequest | StallRequest | Refuse | CutResponse | Stall | Drip | Response
StartFault = CutRequest | StallRequest | Refuse
"""Those that are decided before a byte is read."""


def response(status: int, body: bytes = b"", *, forward: bool = False, **headers: str) -> Response:
    """A whole response of the proxy's own."""
    head = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in head.items()]
    raw = "\r\n".join([f"HTTP/1.1 {status} Status", *lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
    return Response(raw, str(status), forward)


_TYPES = {429: "rate_limit_error", 500: "server_error", 503: "overloaded_error", 529: "overloaded_error"}


def error_response(status: int, retry_after: str | None = None, *, forward: bool = False) -> Response:
    """An error of the API."""
    body = json.dumps({"error": {"type": _TYPES.get(status, "server_error"), "message": "No."}}).encode()
    headers = {} if retry_after is None else {"Retry_After": retry_after}
    return response(status, body, forward=forward, **headers)


def gateway_page(status: int, *, forward: bool = False) -> Response:
    """What a gateway in between says."""
    return response(status, b"<html><body>Gateway</body></html>", forward=forward, Content_Type="text/html")


GARBAGE = Response(b"\x00\xff\x13garbage, not HTTP\r\n\r\n" * 4, "garbage", close=True)
