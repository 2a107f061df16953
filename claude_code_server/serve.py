"""``claude-code-client serve``: the server in the foreground, until Ctrl-C or SIGTERM; both end it cleanly, exit 0."""

import argparse
import ipaddress
import logging
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import starting
from .starting import StartError

if TYPE_CHECKING:
    from .settings import Settings

_PROG = "claude-code-client serve"
_PORT = 8123
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_OFFLINE = " (rules instead of a language model; set ANTHROPIC_API_KEY for the real ones)"


def run_foreground(argv: Sequence[str]) -> int:
    """Serve as the arguments after ``serve`` say. The exit code: 0, 1 if it cannot start, 2 for wrong usage."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        options = _parser().parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    try:
        starting.check_platform()
        settings = _settings(options)
        sock = starting.bind(options.host, options.port)
        banner = _banner(settings, starting.base_url(sock), options.host)
        starting.run(settings, sock, lambda: _say(banner), signals=_SIGNALS)
    except StartError as error:
        sys.stderr.write(f"{_PROG}: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROG,
        description="Serve the Claude Code API, with Claude Code working in a folder of this machine.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=_PORT, help="port to listen on; 0 for any (%(default)s)")
    parser.add_argument("--workspace", default=".", metavar="DIR", help="where tasks work (%(default)s)")
    parser.add_argument(
        "--upstream",
        metavar="WHERE",
        help="anthropic, offline or the address of a Messages endpoint"
        " (anthropic if ANTHROPIC_API_KEY is set, else offline)",
    )
    parser.add_argument("--model", metavar="NAME", help="model for requests that name none")
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="keeps tasks and usage over restarts (a temporary folder, removed at the end)",
    )
    parser.add_argument(
        "--api-key",
        action="append",
        metavar="KEY",
        help="a key to accept; may be repeated. Others see it in the list of processes:"
        " better set CLAUDE_API_KEY (a random one)",
    )
    return parser


def _settings(options: argparse.Namespace) -> "Settings":
    from .settings import Settings

    # Nothing that the server starts is to inherit it.
    upstream_key = os.environ.pop("ANTHROPIC_API_KEY", "").strip() or None
    from_environment = os.environ.get("CLAUDE_API_KEY", "").strip()
    keys = options.api_key or ([from_environment] if from_environment else [f"sk-proj-{secrets.token_urlsafe(24)}"])
    if not all(key.strip() for key in keys):
        raise StartError("a key must not be empty")
    return Settings(
        workspace=starting.workspace(options.workspace),
        api_keys=tuple(keys),
        state_dir=options.state_dir,
        upstream=options.upstream or ("anthropic" if upstream_key else "offline"),
        upstream_key=upstream_key,
        model=options.model,
    )


def _banner(settings: "Settings", url: str, host: str) -> str:
    note = _OFFLINE if settings.upstream == "offline" else ""
    lines = [
        f"Claude Code API at {url}",
        f"  workspace  {settings.workspace}",
        f"  upstream   {settings.upstream}{note}",
        f"  key        {', '.join(settings.api_keys)}",
        "",
        f"export CLAUDE_BASE_URL={url}",
        f"export CLAUDE_API_KEY={settings.api_keys[0]}",
        "",
    ]
    if not _is_loopback(host):
        lines += [
            f"WARNING: {host} is not a loopback address: whoever reaches it and has a key can run commands as you,",
            "and keys travel in clear. Put a proxy with TLS in front of it.",
            "",
        ]
    return "\n".join([*lines, "Press Ctrl-C to stop."])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
