"""Bootstrap of the server: checks, socket, event loop, and one-line errors for everything that prevents a start.

Heavy imports happen inside functions: ``--help`` stays fast, and a missing package becomes a StartError.
"""

from __future__ import annotations

import errno
import os
import pwd
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ..domain.model_catalog import ModelCatalog
from ..domain.settings import Settings
from ..runtime.memory import return_freed_memory

_MAX_PORT: Final = 65535

StopWatcher = Callable[[Callable[[], object]], None]
"""Receives a function that stops the server, to be called later from any thread."""


class StartError(Exception):
    """The server cannot start. The message is one line with the reason."""


def check_platform() -> None:
    """Raise StartError on a platform where the server cannot run."""
    if sys.platform == "win32":
        raise StartError("the server runs on Linux and macOS; on Windows, run it inside WSL")


def resolve_workspace(path: str, *, allow_home: bool = False) -> Path:
    """Return the directory in which tasks work.

    Raise StartError if it does not exist, or if it contains a home directory and ``allow_home`` is false.
    """
    try:
        directory = Path(path).expanduser().resolve()
        exists = directory.is_dir()
    except (OSError, ValueError, RuntimeError) as error:
        raise StartError(f"the workspace is not a path: {error}") from None
    if not exists:
        raise StartError(f"the workspace {directory} is not a directory")
    if not allow_home and any(home.is_relative_to(directory) for home in _home_directories()):
        raise StartError(
            f"the workspace {directory} contains a home directory: tasks could read and change personal files such as "
            "SSH keys; choose a project's directory, or allow it with --allow-home-workspace, or "
            "allow_home_workspace=True in ClaudeClient.local()"
        )
    return directory


def read_price_file(path: Path) -> ModelCatalog:
    """Return the model catalog with the prices in a file. Raise StartError."""
    from ..domain.price_file import parse_price_file

    try:
        return parse_price_file(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StartError(f"cannot use the price file {path}: {error}") from None


def check_state_dir(state_dir: Path | None, workspace: Path) -> None:
    """Raise StartError if the state would be inside the workspace, where the file tools of all tasks could read it.

    The root directory, which contains every other, is exempt: it is a workspace only if it was allowed explicitly.
    """
    if workspace == Path("/"):
        return
    try:
        resolved = Path(tempfile.gettempdir() if state_dir is None else state_dir).resolve()
    except (OSError, RuntimeError) as error:
        raise StartError(f"cannot use the state directory {state_dir}: {error}") from None
    if resolved.is_relative_to(workspace):
        raise StartError(
            f"the state directory {resolved} is inside the workspace {workspace}, where every task could read it; "
            "choose a state directory outside (--state-dir, or state_dir in ClaudeClient.local())"
        )


def check_sandbox(sandbox: bool, readable: Iterable[Path], hosts: Iterable[str]) -> tuple[Path, ...]:
    """Return the paths that sandboxed tasks may read. Raise StartError if an option for the sandbox has no effect."""
    if not sandbox and (given := [*readable, *hosts]):
        raise StartError(f"{given[0]} is for tasks in a sandbox: add --sandbox")
    paths = tuple(path.expanduser().absolute() for path in readable)
    for path in paths:
        if not path.exists():
            raise StartError(f"cannot use --allow-read: {path} does not exist")
    return paths


def _home_directories() -> Iterator[Path]:
    """Yield the home directories of the user, also if HOME names another one."""
    homes = [os.environ.get("HOME", "")]
    with suppress(KeyError):
        homes.append(pwd.getpwuid(os.getuid()).pw_dir)
    for home in homes:
        with suppress(OSError, RuntimeError):
            if home:
                yield Path(home).resolve()


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes any free port. Raise StartError."""
    if not 0 <= port <= _MAX_PORT:
        raise StartError(f"{port} is not a port: ports go up to {_MAX_PORT}")
    from ..runtime.uvicorn_server import bind as bind_socket

    try:
        return bind_socket(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StartError(f"port {port} on {host} is in use; choose another with --port") from None
        raise StartError(f"cannot listen on {host}, port {port}: {error}") from None


def base_url(sock: socket.socket, *, tls: bool = False) -> str:
    """Return the base URL for clients of the server that listens on ``sock``."""
    from ..contract.operations import Contract

    host, port = sock.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}{Contract.bundled().base_path}"


def run_server(
    settings: Settings,
    sock: socket.socket,
    on_ready: Callable[[], None],
    *,
    signals: Iterable[signal.Signals],
    watch_stop: StopWatcher | None = None,
) -> None:
    """Serve on ``sock`` until one of ``signals`` arrives or ``watch_stop`` stops the server. Raise StartError."""
    with sock, _start_errors():
        import asyncio

        from ..services.container import Services
        from .server import serve

        return_freed_memory()

        async def main() -> None:
            loop, stop = asyncio.get_running_loop(), asyncio.Event()
            for number in signals:
                loop.add_signal_handler(number, stop.set)
            if watch_stop is not None:
                watch_stop(lambda: loop.call_soon_threadsafe(stop.set))
            await serve(Services(settings), sock, on_ready, stop)

        asyncio.run(main())


@contextmanager
def _start_errors() -> Iterator[None]:
    """Turn errors that prevent a start into StartError."""
    try:
        from ..engine.unavailable import UnavailableError
        from ..storage.store import StoreError

        expected = (ValueError, OSError, StoreError, UnavailableError)
    except ImportError as error:
        raise StartError(f"{error.name} is missing: pip install 'claude-code-client[server]'") from error
    try:
        yield
    except expected as error:
        raise StartError(" ".join(str(error).split())) from error
