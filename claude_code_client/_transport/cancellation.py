"""Ending, from another thread, what a thread waits for."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpcore

from ..errors import ClosedError

CLOSED_MEANWHILE = "It was closed while the call waited."


class CancelToken:
    """One call's: once it is asked for, whatever the call waits for ends, and whatever it would wait for."""

    def __init__(self) -> None:
        self._process = os.getpid()
        # Reentrant: a signal handler may close the client that its own thread is using.
        self._lock = threading.RLock()
        self._cancelled = threading.Event()
        self._stream: httpcore.NetworkStream | None = None

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """End the call, from whichever thread."""
        # A fork has copies of its parent's calls, on the same sockets.
        if self._process != os.getpid():
            return
        with self._lock:
            self._cancelled.set()
            if self._stream is not None:
                shut_down(self._stream)

    def check(self) -> None:
        """Raises ClosedError once it is asked for."""
        if self._cancelled.is_set():
            raise ClosedError(CLOSED_MEANWHILE)

    def wait(self, seconds: float) -> bool:
        """Wait; whether it was asked for meanwhile."""
        return self._cancelled.wait(seconds)

    @contextmanager
    def blocked_in(self, stream: httpcore.NetworkStream, error: type[Exception]) -> Iterator[None]:
        """Within, the call waits for this stream. Raises ``error`` if it is not to wait any more."""
        with self._lock:
            if self._cancelled.is_set():
                raise error(CLOSED_MEANWHILE)
            self._stream = stream
        try:
            yield
        finally:
            with self._lock:
                self._stream = None


class CancelRegistry:
    """Those of the calls that are under way on one pool."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._under_way: set[CancelToken] = set()
        self._for_good = False

    @contextmanager
    def registered(self, token: CancelToken) -> Iterator[None]:
        with self._lock:
            self._under_way.add(token)
            if self._for_good:
                token.cancel()
        try:
            yield
        finally:
            with self._lock:
                self._under_way.discard(token)

    def cancel_all(self) -> None:
        """End those that are under way, and those that come yet."""
        with self._lock:
            self._for_good = True
            under_way = list(self._under_way)
        for token in under_way:
            token.cancel()


def shut_down(stream: httpcore.NetworkStream) -> None:
    """Wake whoever waits for it, and leave its number taken."""
    sock = stream.get_extra_info("socket")
    with suppress(OSError):
        # The plain socket's: that of an SSLSocket drops its TLS state, which the blocked thread is using.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
