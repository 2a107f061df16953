"""Cancel tokens: they end, from elsewhere, what a call waits for."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, TypeVar

from ..errors import ClaudeAPIError, ClosedError, ConfigurationError

if TYPE_CHECKING:
    import asyncio

    import httpcore

T = TypeVar("T")

CLOSED_DURING_CALL: Final = "The stream or its client was closed during the call."


class CancelToken:
    """Token of one synchronous call. Once cancelled, all that the call waits for ends with ClosedError."""

    def __init__(self) -> None:
        self._process = os.getpid()
        # Reentrant: a signal handler may close the client that its own thread is using.
        self._lock = threading.RLock()
        self._cancelled = False
        # Not an Event: a signal handler that sets one waits for the lock that its thread holds while it waits.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._stream: httpcore.NetworkStream | None = None

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled

    def cancel(self) -> None:
        """End the call, from any thread."""
        # A fork has copies of its parent's calls, on the same sockets.
        if self._process != os.getpid():
            return
        with self._lock:
            self._cancelled = True
            self._wake.put(None)
            if self._stream is not None:
                shut_down(self._stream)

    def check(self) -> None:
        """Raise ClosedError if the token is cancelled."""
        if self._cancelled:
            raise ClosedError(CLOSED_DURING_CALL)

    def wait(self, seconds: float) -> bool:
        """Wait, at most until the token is cancelled; return whether it is."""
        limit = time.monotonic() + seconds
        with suppress(Empty):
            # What it wakes for may be taken by a call in a signal handler.
            while not self._cancelled and (left := limit - time.monotonic()) > 0:
                self._wake.get(timeout=left)
        return self._cancelled

    def block(self, stream: httpcore.NetworkStream, error: type[Exception]) -> None:
        """Let ``cancel`` wake this thread, which is going to wait for a stream, until ``unblock`` is called.

        Raises ``error`` if the token is cancelled.
        """
        with self._lock:
            if self._cancelled:
                raise error(CLOSED_DURING_CALL)
            self._stream = stream

    def unblock(self) -> None:
        with self._lock:
            self._stream = None


class CancelRegistry:
    """Tokens of the calls in progress on one pool."""

    def __init__(self) -> None:
        # Without a lock: each step is one operation of a set, which is atomic.
        self._tokens: set[CancelToken] = set()
        self._closed = False

    def add(self, token: CancelToken) -> None:
        """Register a token, in the ``try`` block of its call; cancel it at once if the registry is closed."""
        self._tokens.add(token)
        if self._closed:
            token.cancel()

    def discard(self, token: CancelToken) -> None:
        self._tokens.discard(token)

    def close(self) -> None:
        """Cancel the calls in progress, and all later ones."""
        self._closed = True
        for token in self._tokens.copy():
            token.cancel()


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the running event loop. Raises ConfigurationError without one, as under trio."""
    import asyncio  # takes 30 ms, which synchronous programs need not spend

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    raise ConfigurationError(
        "AsyncClaudeClient needs a running event loop of asyncio: use asyncio.run(). In a program on another "
        "framework, such as trio, call a ClaudeClient in a thread."
    )


class AsyncCancelToken:
    """Token of one asynchronous call. Once cancelled, all that the call waits for ends with ClosedError."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scope: asyncio.Timeout | None = None
        self._cancelled = False

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled

    def cancel(self) -> None:
        """End the call, from any task or thread."""
        # A fork has copies of its parent's calls.
        if self._process != os.getpid():
            return
        self._cancelled = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._wake)

    async def run(self, wait: Callable[[], Awaitable[T]]) -> T:
        """Await what ``wait`` returns. Raises ClosedError as soon as the token is cancelled."""
        import asyncio

        # Set before the check: a thread that cancels in between has to find the loop.
        self._loop = running_loop()
        if not self._cancelled:
            try:
                async with asyncio.timeout(None) as self._scope:
                    return await wait()
            except ClaudeAPIError:
                raise
            except TimeoutError:
                if not self._cancelled:
                    raise
            finally:
                self._scope = None
        raise ClosedError(CLOSED_DURING_CALL)

    def _wake(self) -> None:
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(0)


def shut_down(stream: httpcore.NetworkStream) -> None:
    """Wake the thread that waits for the stream, and keep the file descriptor taken."""
    sock = stream.get_extra_info("socket")
    with suppress(OSError):
        # Method of the plain socket: that of an SSLSocket drops its TLS state, which the blocked thread is using.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
