"""An ASGI application on a socket, inside a loop that somebody else runs."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

_GRACE = 1
_DROPPED = 2
"""Seconds that a handler may take to notice that its caller was dropped."""
_KEEP_ALIVE = 75
"""Seconds; longer than clients keep a connection, so that none is closed in the moment of its use."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any free one. Raises OSError."""
    sock = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    # asyncio does this only for sockets that name their protocol; without it every answer waits 40 ms for an ACK.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class _Quiet(uvicorn.Server):
    """Leaves signals to whoever runs the loop, and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Listener:
    """Serves ``app`` on ``sock``, which it closes in the end, between ``start`` and ``aclose``."""

    def __init__(self, app: ASGIApp, sock: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=_GRACE + _DROPPED,
        )
        self._server = _Quiet(config)
        self._sock = sock
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns once calls are taken. Raises what keeps the server from starting."""
        self._task = asyncio.create_task(self._serve())
        up = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({up, self._task}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if self._task.done():
            await self._task

    async def ended(self) -> None:
        """Wait for an end that nobody asked for."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def aclose(self) -> None:
        """Take no more calls, and wait a second for those under way. Raises what the server failed with."""
        self._server.should_exit = True
        if self._task is None:
            self._sock.close()
            return
        await asyncio.wait({self._task}, timeout=_GRACE)
        # Closing waits for those who do not read; uvicorn would close, and report them as errors.
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        await self._task

    async def _serve(self) -> None:
        with self._sock:
            await self._server.serve(sockets=[self._sock])
