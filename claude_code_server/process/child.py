"""Server as a child of the process that uses it: configured by one line on stdin, alive until stdin is closed.

The child reads one JSON line, {"workspace", "upstream", "api_keys", "anthropic_api_key", "model", "state_dir",
"prices", "allow_home_workspace", "sandbox"}, and writes one: {"base_url", "upstream"} once it accepts requests, or
{"error"} before it exits with code 2. It stops when stdin is closed, which includes the death of its parent, and on
SIGTERM and SIGHUP. Keys travel through stdin because other processes can read arguments and environments.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ..domain.model_catalog import ModelCatalog
from ..domain.settings import Settings
from . import bootstrap
from .bootstrap import StartError

_CANNOT_START: Final = 2
_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)


def run_child() -> int:
    """Run the server; return the exit code: 0, or 2 if it cannot start."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    # Ctrl-C in a terminal also reaches the parent, which decides when its server stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        bootstrap.check_platform()
        settings = _parse_settings(sys.stdin.buffer.readline())
        sock = bootstrap.bind("127.0.0.1", 0)
        ready = {"base_url": bootstrap.base_url(sock), "upstream": settings.upstream}
        bootstrap.run_server(settings, sock, lambda: _send(ready), signals=_SIGNALS, watch_stop=_watch_stdin)
    except StartError as error:
        _send({"error": str(error)})
        return _CANNOT_START
    return 0


def _parse_settings(line: bytes) -> Settings:
    for name in [name for name in os.environ if name.startswith(("ANTHROPIC_", "CLAUDE_"))]:
        del os.environ[name]
    try:
        received: dict[str, Any] = json.loads(line)
        keys = tuple(str(key) for key in received["api_keys"])
        path = str(received["workspace"])
    except (ValueError, KeyError, TypeError):
        raise StartError("the first line on stdin must be a JSON object with workspace and api_keys") from None
    workspace = bootstrap.resolve_workspace(path, allow_home=received.get("allow_home_workspace") is True)
    state_dir = Path(received["state_dir"]) if received.get("state_dir") else None
    bootstrap.check_state_dir(state_dir, workspace)
    upstream_key = received.get("anthropic_api_key")
    prices = received.get("prices")
    return Settings(
        workspace=workspace,
        api_keys=keys,
        state_dir=state_dir,
        upstream=received.get("upstream") or ("anthropic" if upstream_key else "offline"),
        upstream_key=upstream_key,
        model=received.get("model"),
        sandbox=received.get("sandbox") is True,
        catalog=bootstrap.read_price_file(Path(prices)) if prices else ModelCatalog(),
    )


def _watch_stdin(stop: Callable[[], object]) -> None:
    def wait() -> None:
        # Not through sys.stdin, whose lock this thread would still hold when the interpreter exits.
        while os.read(0, 4096):
            pass
        stop()

    threading.Thread(target=wait, name="stdin", daemon=True).start()


def _send(message: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
