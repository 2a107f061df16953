"""Sockets that keep a deadline, and that another thread can wake.

httpx's timeouts are for each read: a server that drips a byte a second never meets one. Here every connect, read and
write waits no longer than the deadline that its thread has set, so that a call ends when it is to, or when it is
cancelled.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import httpcore

from .cancellation import CancelToken, shut_down

_bounds: ContextVar[tuple[float, CancelToken] | None] = ContextVar("claude_code_client_bounds", default=None)


@contextmanager
def deadline_scope(deadline: float, token: CancelToken) -> Iterator[None]:
    """Within, this thread's network calls end at ``deadline`` (monotonic seconds), or when they are cancelled."""
    outer = _bounds.set((deadline, token))
    try:
        yield
    finally:
        _bounds.reset(outer)


def _left(timeout: float | None, error: type[Exception]) -> float | None:
    """``timeout``, or what is left until the deadline if that is less. Raises ``error`` if nothing is left."""
    bounds = _bounds.get()
    if bounds is None:
        return timeout
    left = bounds[0] - time.monotonic()
    if left <= 0:
        raise error("deadline")
    return left if timeout is None else min(timeout, left)


class DeadlineBackend(httpcore.NetworkBackend):
    """httpcore's own sockets, with the deadline."""

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
        return _DeadlineStream(self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

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
        # Its number is taken by the next socket: a thread that is about to wait for it would wait for that one.
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
