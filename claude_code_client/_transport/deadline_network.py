"""Sockets that keep a deadline, and that another thread can wake; also a network backend for httpcore.

The timeouts of sockets apply to each read: a server that sends a byte a second never exceeds one. Here a connect, read
or write waits no longer than the deadline that its thread has set, and ends when the call is cancelled.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Any, Final

import httpcore
from httpcore._backends.sync import SyncStream  # what httpcore.SyncBackend makes of a socket

from .cancellation import CancelToken, shut_down
from .connecting import Cancelled, connect
from .network_events import NetworkEvents
from .unsent_bytes import PROXY_REQUEST, UnsentBytes

_SHORTEST: Final = 1e-6
"""Seconds; a timeout of 0 would mean not to wait."""


class Bounds:
    """Bounds of the network calls of one thread, in a ``with`` block.

    Args:
        deadline: Seconds on the monotonic clock.
        token: Ends them from another thread.
        events: Receives what happens.
    """

    def __init__(self, deadline: float, token: CancelToken, events: NetworkEvents | None = None) -> None:
        self.deadline = deadline
        self.token = token
        self.events = events
        self._outer: Token[Bounds | None] | None = None

    def __enter__(self) -> None:
        self._outer = _bounds.set(self)

    def __exit__(self, *_: object) -> None:
        if self._outer is not None:
            _bounds.reset(self._outer)


_bounds: ContextVar[Bounds | None] = ContextVar("claude_code_client_bounds", default=None)


def _left(bounds: Bounds | None, timeout: float | None, error: type[Exception]) -> float | None:
    """Return ``timeout``, or the seconds until the deadline if fewer. Raises ``error`` if the deadline has passed."""
    if bounds is None:
        return timeout
    left = bounds.deadline - time.monotonic()
    if left <= 0:
        raise error("deadline")
    return left if timeout is None else min(timeout, left)


class DeadlineBackend(httpcore.NetworkBackend):
    """Opens sockets with the deadline and the cancel token of the thread."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> DeadlineStream:
        bounds = _bounds.get()
        timeout = _left(bounds, timeout, httpcore.ConnectTimeout)
        if bounds is not None and bounds.events is not None:
            bounds.events.connecting()
        try:
            sock = connect(
                host,
                port,
                timeout,
                local_address=local_address,
                is_cancelled=lambda: bounds is not None and bounds.token.is_cancelled,
            )
        except Cancelled:
            raise httpcore.ConnectError("closed") from None
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(str(error)) from error
        try:
            for option in (*(socket_options or ()), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)):
                sock.setsockopt(*option)
        except BaseException:
            sock.close()
            raise
        return DeadlineStream(_SocketStream(sock))


class _SocketStream(SyncStream):
    """httpcore's stream of a socket, without the generators that its methods translate exceptions with."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            self._sock.settimeout(timeout)
            return self._sock.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        end = None if timeout is None else time.monotonic() + timeout
        try:
            self._sock.settimeout(timeout)
            sent = self._sock.send(buffer)
            while sent < len(buffer):
                # For all of it: a server that reads slowly must not get the timeout anew for each part.
                self._sock.settimeout(None if end is None else max(end - time.monotonic(), _SHORTEST))
                sent += self._sock.send(memoryview(buffer)[sent:])
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = super().start_tls(ssl_context, server_hostname, timeout)
        return _SocketStream(stream._sock) if type(stream) is SyncStream else stream


class DeadlineStream(httpcore.NetworkStream):
    """Stream of a socket that keeps the deadline and the cancel token of its thread."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self._lock = threading.RLock()
        self._users = 0
        self._closed = False
        self._unsent = UnsentBytes()
        self._is_sending = False
        """True from the start of a request until its response is read."""
        self._input: select.poll | None = None

    @property
    def has_input(self) -> bool:
        """True if there is anything to read, such as the end, or if the stream is closed."""
        descriptor = self._inner.get_extra_info("socket").fileno()
        if self._closed or descriptor < 0:
            return True
        if self._input is None:
            self._input = select.poll()
            self._input.register(descriptor, select.POLLIN)
        return bool(self._input.poll(0))

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        bounds = _bounds.get()
        if self._unsent:
            with suppress(httpcore.WriteError):  # as httpcore has it: the server may have responded before
                self.send(self._unsent.take(), timeout)
        self._is_sending = False
        self._block(bounds, httpcore.ReadError)
        try:
            return self._inner.read(max_bytes, _left(bounds, timeout, httpcore.ReadTimeout))
        finally:
            self._unblock(bounds)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if data := self._unsent.put(buffer):
            self.send(data, timeout)

    def send(self, data: bytes, timeout: float | None = None) -> None:
        """Write bytes at once, without waiting for the rest of a request."""
        bounds, is_start = _bounds.get(), not self._is_sending
        events = None if bounds is None or data.startswith(PROXY_REQUEST) else bounds.events
        self._is_sending = True
        if events is not None:
            events.sending()
        self._block(bounds, httpcore.WriteError)
        try:
            self._inner.write(data, _left(bounds, timeout, httpcore.WriteTimeout))
        except httpcore.WriteError:
            if events is not None and is_start:
                events.not_sent()
            raise
        finally:
            self._unblock(bounds)

    def close(self) -> None:
        # The next socket takes the file descriptor: a thread that is about to wait for this one would wait for that.
        with self._lock:
            self._closed = True
            if self._users:
                shut_down(self._inner)
            else:
                self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> DeadlineStream:
        bounds = _bounds.get()
        timeout = _left(bounds, timeout, httpcore.ConnectTimeout)
        self._block(bounds, httpcore.ConnectError)
        try:
            return DeadlineStream(self._inner.start_tls(ssl_context, server_hostname, timeout))
        finally:
            self._unblock(bounds)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def _block(self, bounds: Bounds | None, error: type[Exception]) -> None:
        with self._lock:
            if self._closed:
                raise error("closed")
            self._users += 1
        if bounds is not None:
            try:
                bounds.token.block(self._inner, error)
            except BaseException:
                self._unblock(None)
                raise

    def _unblock(self, bounds: Bounds | None) -> None:
        if bounds is not None:
            bounds.token.unblock()
        with self._lock:
            self._users -= 1
            if self._closed and not self._users:
                self._inner.close()
