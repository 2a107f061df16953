"""Acceptor of connections, which pauses while the process has no file descriptors left.

asyncio's own server retries at once, up to 2,000 times, and logs a traceback each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Final

_BACKLOG: Final = 1024
_BATCH: Final = 64
"""Connections to accept before other work of the event loop has its turn."""
_MAX_HANDSHAKES: Final = 256
"""TLS handshakes in progress, which are not yet connections with limits of their own."""
_HANDSHAKE_TIMEOUT: Final = 10.0
_SHORT_PAUSE: Final = 0.01
_LONG_PAUSE: Final = 0.2
"""Seconds without accepting after a failure."""


class Acceptor:
    """Accepts connections on ``sock`` between ``start`` and ``stop``."""

    def __init__(
        self,
        sock: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        on_failure: Callable[[OSError], bool],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Create an acceptor; ``on_failure`` is called when no connection can be accepted.

        It returns True if it has made room for another connection. With ``tls``, connections are encrypted.
        """
        self._tls = tls
        self._sock = sock
        self._make_protocol = make_protocol
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._connecting: dict[asyncio.Task[None], None] = {}

    def start(self) -> None:
        """Start to accept connections."""
        self._sock.setblocking(False)
        self._sock.listen(_BACKLOG)
        self._resume()

    def stop(self) -> None:
        """Accept nothing more. Connections that were accepted stay open."""
        self._loop.remove_reader(self._sock)
        if self._pause is not None:
            self._pause.cancel()

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        for _ in range(_BATCH):
            try:
                connection, _address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._loop.remove_reader(self._sock)
                pause = _SHORT_PAUSE if self._on_failure(error) else _LONG_PAUSE
                self._pause = self._loop.call_later(pause, self._resume)
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._connect(connection))
            self._connecting[task] = None
            task.add_done_callback(partial(self._forget, connection))
            if self._tls is not None and len(self._connecting) > _MAX_HANDSHAKES:
                # The oldest ones are those that do not go on.
                next(iter(self._connecting)).cancel()

    def _forget(self, connection: socket.socket, task: asyncio.Task[None]) -> None:
        self._connecting.pop(task, None)
        if task.cancelled():  # before it began, so that nobody else closes the connection
            connection.close()

    async def _connect(self, connection: socket.socket) -> None:
        timeout = None if self._tls is None else _HANDSHAKE_TIMEOUT
        # The peer may already have hung up, or speak something else than TLS.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._loop.connect_accepted_socket(
                self._make_protocol, connection, ssl=self._tls, ssl_handshake_timeout=timeout
            )
