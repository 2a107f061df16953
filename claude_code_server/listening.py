"""A server on a socket of its own, until it is told to stop."""

import asyncio
import socket
from collections.abc import Callable

from ._listener import Listener
from .app import app_of
from .services import Services


async def listen(services: Services, sock: socket.socket, ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Serve on ``sock``, calling ``ready`` once calls are taken, until ``stop``; then end all work and the socket.

    Raises whatever keeps ``services`` from starting.
    """
    with sock:
        async with services:
            listener = Listener(app_of(services), sock)
            await listener.start()
            ready()
            ended, stopping = asyncio.create_task(listener.ended()), asyncio.create_task(stop.wait())
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            stopping.cancel()
            # Streams end with the work they follow, so this comes before waiting for the connections.
            await services.stop()
            await listener.aclose()
