"""HTTP connections of the synchronous client to a server. Twin of ``async_http_connection``."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Protocol, cast

import httpcore

from .deadline_network import DeadlineBackend, DeadlineStream
from .http11 import READ_SIZE, Headers, Http11
from .messages import HttpRequest, Server


class SyncHttpConnection(Protocol):
    """A connection, for one exchange at a time. Its methods raise the exceptions of ``failures``."""

    def exchange(self, request: HttpRequest, headers: Headers, timeouts: dict[str, float]) -> tuple[int, Headers]:
        """Send a request; return the status and the headers of its response."""
        ...

    def read(self) -> bytes | None:
        """Return the next bytes of the response's body; None at its end."""
        ...

    def finish(self) -> bool:
        """End the exchange; return whether the connection can be used for another one."""
        ...

    def has_expired(self) -> bool:
        """Return whether the server has closed the connection since the last exchange."""
        ...

    def close(self) -> None:
        """Close the connection, whatever it is in the middle of. Callable from any thread."""


class SyncDirectConnection:
    """Connection without a proxy, opened by its first exchange."""

    def __init__(self, server: Server, backend: DeadlineBackend, context: ssl.SSLContext | None) -> None:
        self._server = server
        self._backend = backend
        self._context = context
        self._stream: DeadlineStream | None = None
        self._http = Http11()
        self._read_timeout: float | None = None
        self._is_cut = False
        """True once a request could not be sent to its end."""
        self._closed = False

    def exchange(self, request: HttpRequest, headers: Headers, timeouts: dict[str, float]) -> tuple[int, Headers]:
        stream = self._stream or self._connect(timeouts.get("connect"))
        self._read_timeout = timeouts.get("read")
        try:
            self._send(stream, request, headers)
        except httpcore.WriteError:
            self._is_cut = True  # and there may be a response that says why
        http = self._http
        while (response := http.response()) is None:
            http.receive(stream.read(READ_SIZE, self._read_timeout))
        return response

    def read(self) -> bytes | None:
        http, stream = self._http, self._stream
        while (data := http.body()) == b"" and stream is not None:
            http.receive(stream.read(READ_SIZE, self._read_timeout))
        return data

    def finish(self) -> bool:
        return not self._closed and not self._is_cut and self._http.finish()

    def has_expired(self) -> bool:
        return self._stream is None or self._stream.has_input

    def close(self) -> None:
        self._closed = True
        if self._stream is not None:
            self._stream.close()

    def _connect(self, timeout: float | None) -> DeadlineStream:
        host = self._server.host.decode("ascii")
        port = self._server.port or (80 if self._context is None else 443)
        stream = self._backend.connect_tcp(host, port, timeout)
        if self._context is not None:
            self._context.set_alpn_protocols(["http/1.1"])
            stream = stream.start_tls(self._context, host, timeout)
        self._stream = stream
        if self._closed:
            stream.close()
        return stream

    def _send(self, stream: DeadlineStream, request: HttpRequest, headers: Headers) -> None:
        http, body = self._http, request.body
        head = http.head(request.method, request.target, headers)
        if isinstance(body, bytes):
            stream.send(head + http.data(body) + http.end() if body else head + http.end())
            return
        stream.send(head)
        for data in cast("Iterable[bytes]", body):
            stream.send(http.data(data))
        stream.send(http.end())
