"""Embedded server as a child process, for ``ClaudeClient.local()``."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import select
import sys
import weakref
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired
from typing import Any, Final

from ..errors import ConfigurationError

START_TIMEOUT: Final = 60.0
"""Seconds that the server may take to start."""
_STOP_TIMEOUT: Final = 15.0
"""Seconds that the server may take to stop, before SIGTERM and again before SIGKILL."""
_REQUIRED: Final = ("starlette", "uvicorn", "jsonschema", "pathspec", "referencing", "psutil", "claude_agent_sdk")


class LocalServer:
    """Running embedded server. It stops on ``stop()``, when this object is garbage-collected, and with this process."""

    def __init__(
        self,
        *,
        workspace: str | os.PathLike[str],
        upstream: str | None,
        model: str | None,
        state_dir: str | os.PathLike[str] | None,
        anthropic_api_key: str | None,
        prices: str | os.PathLike[str] | None,
        allow_home_workspace: bool,
        sandbox: bool,
    ) -> None:
        """Start the server and wait until it accepts calls. Raises ConfigurationError if it does not start."""
        check_installed()
        self.api_key = f"sk-proj-{secrets.token_urlsafe(24)}"
        process = _spawn()
        self.stop = weakref.finalize(self, _stop, process, os.getpid())
        ready = _handshake(
            process,
            {
                "workspace": str(Path(workspace).absolute()),
                "allow_home_workspace": allow_home_workspace,
                "sandbox": sandbox,
                "upstream": upstream,
                "model": model,
                "state_dir": None if state_dir is None else str(Path(state_dir).absolute()),
                "prices": None if prices is None else str(Path(prices).absolute()),
                "api_keys": [self.api_key],
                "anthropic_api_key": anthropic_api_key or os.environ.get("ANTHROPIC_API_KEY"),
            },
        )
        if "base_url" not in ready:
            self.stop()
            raise ConfigurationError(f"The embedded server did not start: {ready.get('error', 'its process ended')}")
        self.base_url: str = ready["base_url"]
        self.upstream: str = ready["upstream"]
        """Source of the model's replies: ``anthropic``, ``offline`` or a host name."""
        self.pid = process.pid


def check_installed() -> None:
    """Raise ConfigurationError if the embedded server cannot run here."""
    if sys.platform == "win32":
        raise ConfigurationError(
            "The embedded server does not run on Windows; use WSL, or a server on another machine."
        )
    missing = [name for name in _REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"The embedded server needs packages that are missing ({', '.join(missing)}): "
            "run pip install 'claude-code-client[server]'."
        )


def _spawn() -> Popen[bytes]:
    # Settings include keys, and other users can read command lines and environments: they go through stdin.
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "CLAUDE_"))}
    return Popen(
        [sys.executable, "-P", "-m", "claude_code_server", "child"],
        stdin=PIPE,
        stdout=PIPE,
        env=environ,
        # Ctrl-C is for this process to handle. The server stops when its stdin closes.
        start_new_session=True,
    )


def _handshake(process: Popen[bytes], settings: dict[str, Any]) -> dict[str, Any]:
    if process.stdin is None or process.stdout is None:
        raise TypeError("the child process has no pipes")
    try:
        process.stdin.write(json.dumps(settings).encode() + b"\n")
        process.stdin.flush()
        readable, _, _ = select.select([process.stdout], [], [], START_TIMEOUT)
        line = process.stdout.readline() if readable else b""
    except BrokenPipeError:
        line = b""
    except BaseException:
        _stop(process, os.getpid())
        raise
    try:
        ready = json.loads(line)
    except ValueError:
        return {"error": "its process did not report an address. See what it printed on stderr."}
    return ready if isinstance(ready, dict) else {}


def _stop(process: Popen[bytes], owner: int) -> None:
    if os.getpid() != owner:  # a forked process has the pipes, but the server is its parent's
        return
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    try:
        process.wait(_STOP_TIMEOUT)
    except TimeoutExpired:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT)
        except TimeoutExpired:
            process.kill()
            process.wait()
