"""Requests and responses on their way between operations and connections."""

from __future__ import annotations

import codecs
import json
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from .._operations.effects import Delivery, Head
from ..errors import ClosedError
from .cancellation import CancelToken

OnCancelled = Callable[[ClosedError], object]
"""Called when a coroutine's call is cancelled, with the exception that it may raise instead."""
_decode_json: Final = json.JSONDecoder().decode
Body = bytes | Iterable[bytes] | AsyncIterable[bytes]


@attrs.frozen
class Server:
    """A server: scheme, host and port."""

    url: str
    """For messages: without credentials and path."""
    host_header: str
    scheme: bytes
    host: bytes
    name: str
    """The host as people write it; ``host`` is its IDNA encoding."""
    port: int | None


@attrs.define(kw_only=True, eq=False)
class HttpRequest:
    """A request, and the options of the call that it is sent for."""

    method: str
    server: Server
    target: str = attrs.field(repr=False)
    """Path and query, as they are sent."""
    headers: list[tuple[bytes, bytes]] = attrs.field(repr=False)
    """Names in lower case; never with the API key."""
    body: Body = attrs.field(default=b"", repr=False)
    """Bytes, or an iterator that can be read once."""
    deadline: float
    """Seconds on the monotonic clock."""
    repeatable: bool | None = None
    """True if the server may receive the request twice without harm; None to decide by method and Idempotency-Key."""
    delivery: Delivery | None = None
    """Delivery of a call that runs work, to be kept up to date."""
    stream: bool = False
    """True to leave the body of a successful response unread."""
    read_timeout: float | None = None
    """Seconds without a byte after which the connection counts as dead."""
    token: CancelToken | None = None
    """Ends the call from another thread; None if the transport has to make one."""
    on_cancelled: OnCancelled | None = None

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def header(self, name: bytes) -> str | None:
        """Return the value of a header, by its name in lower case."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None


class Headers(Mapping[str, str]):
    """Headers of a response. Names have no case; repeated headers are joined."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: Final[dict[str, str]] = {}
        for key, value in raw:
            name, text = key.decode("latin-1").lower(), _text(value)
            self._values[name] = f"{self._values[name]}, {text}" if name in self._values else text

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a header, or the default."""
        return self._values.get(name.lower(), default)


@attrs.define(eq=False)
class HttpResponse:
    """A response. Generated code reads its status, its headers and its JSON, as it does those of httpx."""

    request: HttpRequest
    status_code: int
    raw_headers: list[tuple[bytes, bytes]] = attrs.field(repr=False)
    body: Any = attrs.field(repr=False)
    """Iterator of the bytes that are to come; close it."""
    headers: Headers = attrs.field(init=False, repr=False)
    content: bytes = attrs.field(default=b"", repr=False)
    """Whole body, decoded, if it has been read."""
    extensions: dict[str, Any] = attrs.field(factory=dict, repr=False)
    """``attempts`` and ``history`` of the call."""

    def __attrs_post_init__(self) -> None:
        self.headers = Headers(self.raw_headers)

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code < 300

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body, which must be JSON in UTF-8 (RFC 8259, section 8.1)."""
        return _decode_json(self.content.decode("utf-8-sig" if self.content.startswith(codecs.BOM_UTF8) else "utf-8"))


def head(response: HttpResponse) -> Head:
    """Return what an operation needs of a response whose body it reads."""
    return Head(
        status_code=response.status_code,
        headers=response.headers,
        attempts=response.extensions["attempts"],
        history=response.extensions["history"],
    )


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
