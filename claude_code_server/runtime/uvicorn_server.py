"""HTTP server for an ASGI application, on uvicorn, in an event loop that the caller runs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from .acceptor import Acceptor
from .connection_limits import ConnectionLimits, OpenConnections
from .http_protocol import RequestProtocol

_GRACE: Final = 1
"""Seconds that requests in progress may take at shutdown."""
_ABORTED: Final = 2
"""Seconds that a handler may take to notice that its connection was aborted."""
_TICK: Final = 0.005
"""Seconds between two looks at what is still open at shutdown."""
_DATE_LASTS: Final = 1.0
"""Seconds after which the header Date is renewed."""
_KEEP_ALIVE: Final = 75
"""Seconds; longer than clients keep idle connections, so that the server never closes one that a client is reusing."""


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes any free port. Raise OSError."""
    sock = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    # asyncio sets this only on sockets that name their protocol; without it every response waits 40 ms for an ACK.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class _Server(uvicorn.Server):
    """Uvicorn without signal handlers, on an acceptor of our own, with an event for the end of its startup."""

    def __init__(
        self, config: uvicorn.Config, sock: socket.socket, limits: ConnectionLimits, tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.stopping = asyncio.Event()
        self._sock = sock
        self._limits = limits
        self._tls = tls
        self._open = OpenConnections(limits.connection_limit())
        self._acceptor: Acceptor | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        self._acceptor = Acceptor(self._sock, self._make_protocol, self._open.free_descriptors, self._tls)
        self._acceptor.start()
        self.listening.set()

    async def main_loop(self) -> None:
        # Uvicorn's own looks ten times a second whether it should stop.
        while not self.stopping.is_set():
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), _DATE_LASTS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Uvicorn's own takes a tenth of a second even if nothing is open.
        if self._acceptor is not None:
            self._acceptor.stop()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(_GRACE + _ABORTED):
                await asyncio.sleep(_TICK)
                while state.connections or state.tasks:  # noqa: ASYNC110 (nothing tells of their end)
                    await asyncio.sleep(_TICK)
        except TimeoutError:
            for task in state.tasks:
                task.cancel()

    def accept_also(self, sock: socket.socket) -> Acceptor:
        """Accept connections on another listening socket too."""
        acceptor = Acceptor(sock, self._make_protocol, self._open.free_descriptors)
        acceptor.start()
        return acceptor

    def _make_protocol(self) -> RequestProtocol:
        return RequestProtocol(self.config, self.server_state, self.lifespan.state, self._limits, self._open)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class UvicornServer:
    """Server for ``app`` on ``sock``, between ``start`` and ``aclose``, which closes the socket."""

    def __init__(
        self,
        app: ASGIApp,
        sock: socket.socket,
        limits: ConnectionLimits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        limits = limits or ConnectionLimits()
        config = uvicorn.Config(
            app,
            http=RequestProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            # Its warnings are about single requests: anyone could fill the log with them.
            log_level="error",
            access_log=False,
            server_header=False,
            # Anyone could pretend to have another address.
            proxy_headers=False,
            h11_max_incomplete_event_size=limits.max_head_bytes,
            timeout_keep_alive=_KEEP_ALIVE,
        )
        self._server = _Server(config, sock, limits, tls)
        self._sock = sock
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start, and return once the server accepts requests. Raise the error that prevents the start."""
        self._task = asyncio.create_task(self._serve())
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({listening, self._task}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if self._task.done():
            await self._task

    async def wait_stopped(self) -> None:
        """Wait until the server has stopped by itself."""
        if self._task is not None:
            await asyncio.wait({self._task})

    def serve_also(self, sock: socket.socket) -> Callable[[], None]:
        """Serve on another listening socket too, until the function is called that this one returns."""
        acceptor = self._server.accept_also(sock)

        def stop() -> None:
            acceptor.stop()
            sock.close()

        return stop

    async def aclose(self) -> None:
        """Stop: accept nothing more and give requests in progress a second. Raise the server's own error."""
        self._server.stopping.set()
        if self._task is None:
            self._sock.close()
            return
        await asyncio.wait({self._task}, timeout=_GRACE)
        # A graceful close would wait for clients that do not read; uvicorn's own abort would log them as errors.
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        await self._task

    async def _serve(self) -> None:
        with self._sock:
            await self._server.serve(sockets=[self._sock])
