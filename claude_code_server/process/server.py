"""Server on a socket, running until it is stopped."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from ..http.app import build_app
from ..runtime.tls import load_tls
from ..runtime.uvicorn_server import UvicornServer
from ..services.connections import connection_limits
from ..services.container import Services


async def serve(services: Services, sock: socket.socket, on_ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Serve on ``sock`` until ``stop`` is set, then end all work and close the socket.

    ``on_ready`` is called once the server accepts requests. Raise whatever prevents ``services`` from starting.
    """
    with sock:
        async with services:
            settings = services.settings
            tls = None if settings.tls_cert is None else load_tls(settings.tls_cert, settings.tls_key)
            server = UvicornServer(build_app(services), sock, connection_limits(settings), tls)
            await server.start()
            on_ready()
            stopped, stopping = asyncio.create_task(server.wait_stopped()), asyncio.create_task(stop.wait())
            await asyncio.wait({stopped, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            stopping.cancel()
            # Streams end when the work that they follow has ended, so end the work before closing connections.
            await services.stop()
            await server.aclose()
