"""What the two ways to start a server have in common: checks, the socket, the loop, and clear words when it fails."""

import asyncio
import errno
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .settings import Settings

_LAST_PORT = 65535

Watch = Callable[[Callable[[], object]], None]
"""Given what stops the server, sees to it that it is called, from whichever thread."""


class StartError(Exception):
    """The server cannot start; the message is one line that says why."""


def check_platform() -> None:
    """Raises StartError where the server cannot run."""
    if sys.platform == "win32":
        raise StartError("the server runs on Linux and macOS; on Windows, run it inside WSL")


def workspace(path: str) -> Path:
    """The folder that tasks work in. Raises StartError if there is none."""
    try:
        folder = Path(path).expanduser().resolve()
        found = folder.is_dir()
    except (OSError, ValueError, RuntimeError) as error:
        raise StartError(f"the workspace is not a path: {error}") from None
    if not found:
        raise StartError(f"the workspace {folder} is not a folder")
    return folder


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any free one. Raises StartError."""
    if not 0 <= port <= _LAST_PORT:
        raise StartError(f"{port} is not a port: they go up to {_LAST_PORT}")
    from ._listener import bind as bind_socket

    try:
        return bind_socket(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StartError(f"port {port} on {host} is in use; take another with --port") from None
        raise StartError(f"cannot listen on {host}, port {port}: {error}") from None


def base_url(sock: socket.socket) -> str:
    """Where clients reach the server that listens on ``sock``."""
    from .contract import Contract

    host, port = sock.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{Contract.bundled().base_path}"


def run(
    settings: "Settings",
    sock: socket.socket,
    ready: Callable[[], None],
    *,
    signals: Iterable[signal.Signals],
    watch: Watch | None = None,
) -> None:
    """Serve on ``sock`` until a signal or ``watch`` says stop. Nothing is left behind. Raises StartError."""
    with sock, _one_line():
        from .listening import listen
        from .services import Services

        async def main() -> None:
            loop, stop = asyncio.get_running_loop(), asyncio.Event()
            for number in signals:
                loop.add_signal_handler(number, stop.set)
            if watch is not None:
                watch(lambda: loop.call_soon_threadsafe(stop.set))
            await listen(Services(settings), sock, ready, stop)

        asyncio.run(main())


@contextmanager
def _one_line() -> Iterator[None]:
    """Turns what can keep a server from starting into StartError."""
    try:
        from .engine.claude_code import UnavailableError
        from .store import StoreError

        expected = (ValueError, OSError, StoreError, UnavailableError)
    except ImportError as error:
        raise StartError(f"{error.name} is missing: pip install 'claude-code-client[server]'") from error
    try:
        yield
    except expected as error:
        raise StartError(" ".join(str(error).split())) from error
