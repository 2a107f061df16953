"""Network of a sandboxed run: what listens at the ports of the sandbox's loopback address."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .egress import EgressProxy
from .model_proxy import ModelProxy
from .sandbox import Sandbox

_HANDOVER_SECONDS: Final = 5.0


class SandboxNetwork:
    """Takes the listening sockets of one run from its supervisor, and serves on them until ``aclose``."""

    def __init__(self, receiver: Path, sandbox: Sandbox, proxy: ModelProxy, label: str) -> None:
        """Listen on the new Unix socket ``receiver``. ``label`` names the run in the log."""
        self._sandbox = sandbox
        self._proxy = proxy
        self._egress = EgressProxy(sandbox.allowed_hosts, label) if sandbox.allowed_hosts else None
        self._listener = _listen(receiver)
        self._stop_relay: Callable[[], object] = lambda: None
        self._taking = asyncio.create_task(self._take())

    async def aclose(self) -> None:
        """Close everything."""
        self._taking.cancel()
        await asyncio.gather(self._taking, return_exceptions=True)
        self._listener.close()
        self._stop_relay()
        if self._egress is not None:
            await self._egress.aclose()

    async def _take(self) -> None:
        connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
        with connection:
            # The supervisor sends as soon as it is connected.
            connection.settimeout(_HANDOVER_SECONDS)
            _, descriptors, _, _ = socket.recv_fds(connection, 1, len(self._sandbox.ports))
            relay, *others = (socket.socket(fileno=descriptor) for descriptor in descriptors)
            self._stop_relay = self._proxy.serve_also(relay)
            if self._egress is not None:
                await self._egress.start(*others)
            connection.send(b"1")


def _listen(path: Path) -> socket.socket:
    # The path of a socket must be short, and that of the directory need not be.
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(f"/proc/self/fd/{directory}/{path.name}")
        listener.listen(1)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    finally:
        with contextlib.suppress(OSError):
            os.close(directory)
    return listener
