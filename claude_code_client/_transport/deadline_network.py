"""Network backend for httpcore whose sockets keep a deadline, and can be woken by another thread.

The timeouts of httpx apply to each read: a server that sends a byte a second never exceeds one. Here a connect, read or
write waits no longer than the deadline that its thread has set, and ends when the call is cancelled.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import httpcore
from httpcore._backends.sync import SyncStream  # what httpcore.SyncBackend makes of a socket

from .cancellation import CancelToken, shut_down
from .connecting import Cancelled, connect

_bounds: ContextVar[tuple[float, CancelToken] | None] = ContextVar("claude_code_client_bounds", default=None)


@contextmanager
def deadline_scope(deadline: float, token: CancelToken) -> Iterator[None]:
    """Apply a deadline (monotonic seconds) and a cancel token to the network calls of this thread."""
    outer = _bounds.set((deadline, token))
    try:
        yield
    finally:
        _bounds.reset(outer)


def _left(timeout: float | None, error: type[Exception]) -> float | None:
    """Return ``timeout``, or the seconds until the deadline if fewer. Raises ``error`` if the deadline has passed."""
    bounds = _bounds.get()
    if bounds is None:
        return timeout
    left = bounds[0] - time.monotonic()
    if left <= 0:
        raise error("deadline")
    return left if timeout is None else min(timeout, left)


class DeadlineBackend(httpcore.NetworkBackend):
    """httpcore's own sockets, with the deadline and the cancel token of the thread."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        timeout = _left(timeout, httpcore.ConnectTimeout)
        bounds = _bounds.get()
        try:
            sock = connect(
                host,
                port,
                timeout,
                local_address=local_address,
                is_cancelled=lambda: bounds is not None and bounds[1].is_cancelled,
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
        return _DeadlineStream(SyncStream(sock))

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        timeout = _left(timeout, httpcore.ConnectTimeout)
        return _DeadlineStream(self._inner.connect_unix_socket(path, timeout, socket_options))

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self._lock = threading.RLock()
        self._users = 0
        self._closed = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._blocked(httpcore.ReadError):
            return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with self._blocked(httpcore.WriteError):
            self._inner.write(buffer, _left(timeout, httpcore.WriteTimeout))

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
    ) -> httpcore.NetworkStream:
        timeout = _left(timeout, httpcore.ConnectTimeout)
        with self._blocked(httpcore.ConnectError):
            return _DeadlineStream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    @contextmanager
    def _blocked(self, error: type[Exception]) -> Iterator[None]:
        bounds = _bounds.get()
        with self._lock:
            if self._closed:
                raise error("closed")
            self._users += 1
        try:
            with nullcontext() if bounds is None else bounds[1].blocked_in(self._inner, error):
                yield
        finally:
            with self._lock:
                self._users -= 1
                if self._closed and not self._users:
                    self._inner.close()
