"""The server as a child of the process that uses it: told what to do by one line, alive as long as its stdin is open.

It reads one JSON line, {"workspace", "upstream", "api_keys", "anthropic_api_key", "model", "state_dir"}, and writes
one: {"base_url", "upstream"} once it takes calls, or {"error"}, with exit code 2. It stops when its stdin ends, so
also with its parent, and at SIGTERM. Keys come this way since arguments and environments can be seen by others.
"""

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import starting
from .starting import StartError

if TYPE_CHECKING:
    from .settings import Settings

_CANNOT_START = 2


def run_child() -> int:
    """The exit code: 0, or 2 if it cannot start."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    # Ctrl-C in a terminal reaches the parent too, which decides what becomes of its server.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        starting.check_platform()
        settings = _settings(sys.stdin.buffer.readline())
        sock = starting.bind("127.0.0.1", 0)
        told = {"base_url": starting.base_url(sock), "upstream": settings.upstream}
        starting.run(settings, sock, lambda: _tell(told), signals=(signal.SIGTERM,), watch=_watch_stdin)
    except StartError as error:
        _tell({"error": str(error)})
        return _CANNOT_START
    return 0


def _settings(line: bytes) -> "Settings":
    from .settings import Settings

    for name in [name for name in os.environ if name.startswith(("ANTHROPIC_", "CLAUDE_"))]:
        del os.environ[name]
    try:
        told: dict[str, Any] = json.loads(line)
        keys = tuple(str(key) for key in told["api_keys"])
        folder = starting.workspace(told["workspace"])
    except (ValueError, KeyError, TypeError):
        raise StartError("the first line on stdin must be a JSON object with workspace and api_keys") from None
    state_dir, upstream_key = told.get("state_dir"), told.get("anthropic_api_key")
    return Settings(
        workspace=folder,
        api_keys=keys,
        state_dir=Path(state_dir) if state_dir else None,
        upstream=told.get("upstream") or ("anthropic" if upstream_key else "offline"),
        upstream_key=upstream_key,
        model=told.get("model"),
    )


def _watch_stdin(stop: Callable[[], object]) -> None:
    def wait() -> None:
        # Not through sys.stdin: its lock would be held when the interpreter ends.
        while os.read(0, 4096):
            pass
        stop()

    threading.Thread(target=wait, name="stdin", daemon=True).start()


def _tell(message: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
