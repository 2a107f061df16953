"""A server on a socket of its own, until it is told to stop."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn

from .app import app_of
from .services import Services

_GRACE = 1


class _Uvicorn(uvicorn.Server):
    """Leaves signals to whoever runs the loop, and says when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def listen(services: Services, sock: socket.socket, ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Serve on ``sock``, calling ``ready`` once calls are taken, until ``stop``; then end all work and the socket.

    Raises whatever keeps ``services`` from starting.
    """
    with sock:
        async with services:
            config = uvicorn.Config(
                app_of(services),
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE,
            )
            server = _Uvicorn(config, ready)
            serving = asyncio.create_task(server.serve([sock]))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            # Streams end with the work they follow, so this comes before waiting for the connections.
            await services.stop()
            server.should_exit = True
            await serving
