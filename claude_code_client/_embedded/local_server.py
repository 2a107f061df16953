"""The embedded server as a child process, for ``ClaudeClient.local()``."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import select
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any, Final

from ..errors import ConfigurationError

START_TIMEOUT: Final = 60.0
"""Seconds."""
_STOP_TIMEOUT: Final = 15.0
_NEEDED: Final = ("starlette", "uvicorn", "jsonschema", "referencing", "psutil", "claude_agent_sdk")


class LocalServer:
    """A running embedded server. It ends with ``stop()``, when this object is collected, and with this process."""

    def __init__(
        self,
        *,
        workspace: str | os.PathLike[str],
        upstream: str | None,
        model: str | None,
        state_dir: str | os.PathLike[str] | None,
        anthropic_api_key: str | None,
    ) -> None:
        check_installed()
        self.api_key = f"sk-proj-{secrets.token_urlsafe(24)}"
        process = _spawn()
        self.stop = weakref.finalize(self, _stop, process, os.getpid())
        ready = _handshake(
            process,
            {
                "workspace": str(Path(workspace).absolute()),
                "upstream": upstream,
                "model": model,
                "state_dir": None if state_dir is None else str(Path(state_dir).absolute()),
                "api_keys": [self.api_key],
                "anthropic_api_key": anthropic_api_key or os.environ.get("ANTHROPIC_API_KEY"),
            },
        )
        if "base_url" not in ready:
            self.stop()
            raise ConfigurationError(f"The embedded server did not start: {ready.get('error', 'it ended')}")
        self.base_url: str = ready["base_url"]
        self.upstream: str = ready["upstream"]
        self.pid = process.pid


def check_installed() -> None:
    """Raises ConfigurationError where the embedded server cannot run."""
    if sys.platform == "win32":
        raise ConfigurationError("The embedded server does not run on Windows; use WSL, or a server elsewhere.")
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"The embedded server needs more packages ({', '.join(missing)}): pip install 'claude-code-client[server]'."
        )


def _spawn() -> subprocess.Popen[bytes]:
    # The settings go through stdin: a command line and an environment can be read by others.
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "CLAUDE_"))}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "claude_code_server", "child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environ,
        # Ctrl-C is for this process to handle; the server ends when its stdin does.
        start_new_session=True,
    )


def _handshake(process: subprocess.Popen[bytes], settings: dict[str, Any]) -> dict[str, Any]:
    if process.stdin is None or process.stdout is None:
        raise TypeError("the child process needs pipes")
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
        answer = json.loads(line)
    except ValueError:
        return {"error": "it gave no answer; what it printed on stderr says why."}
    return answer if isinstance(answer, dict) else {}


def _stop(process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() != owner:  # a fork has the handles, not the server
        return
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
