"""Command ``claude-code-client serve``: runs the server in the foreground until Ctrl-C, SIGTERM or SIGHUP."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from claude_code_common.loopback import is_loopback

from ..domain.api_key import new_key
from ..domain.model_catalog import ModelCatalog
from ..domain.settings import Settings
from . import bootstrap
from .bootstrap import StartError
from .keys import has_active_keys

_PROG: Final = "claude-code-client serve"
_PORT: Final = 8123
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_OFFLINE_NOTE: Final = " (rules instead of a language model; set ANTHROPIC_API_KEY for real models)"


def run_foreground(argv: Sequence[str]) -> int:
    """Run the server with the arguments after ``serve``.

    Return the exit code: 0 after a clean stop, 1 if the server cannot start, 2 for wrong usage.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        options = _parser().parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    try:
        bootstrap.check_platform()
        settings = _build_settings(options)
        sock = bootstrap.bind(options.host, options.port)
        banner = _banner(settings, bootstrap.base_url(sock), options.host)
        bootstrap.run_server(settings, sock, lambda: _print(banner), signals=_SIGNALS)
    except StartError as error:
        sys.stderr.write(f"{_PROG}: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROG,
        description="Serve the Claude Code API, with Claude Code working in a directory of this machine.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="host name under which clients reach the server, such as that of a proxy; may be repeated"
        " (default: loopback names and --host)",
    )
    parser.add_argument("--port", type=int, default=_PORT, help="port to listen on, 0 for any (default: %(default)s)")
    parser.add_argument(
        "--workspace", default=".", metavar="DIR", help="directory in which tasks work (default: %(default)s)"
    )
    parser.add_argument(
        "--allow-home-workspace",
        action="store_true",
        help="allow a workspace that contains your home directory: tasks can then read and change everything in it",
    )
    parser.add_argument(
        "--upstream",
        metavar="UPSTREAM",
        help="anthropic, offline, or the URL of a Messages endpoint"
        " (default: anthropic if ANTHROPIC_API_KEY is set, else offline)",
    )
    parser.add_argument(
        "--prices",
        type=Path,
        metavar="FILE",
        help="TOML or JSON file with the prices of models that the server does not know; it refuses other models",
    )
    parser.add_argument("--model", metavar="NAME", help="model for requests that name none")
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="directory that keeps tasks and usage across restarts (default: a temporary one, deleted at the end)",
    )
    parser.add_argument(
        "--api-key",
        action="append",
        metavar="KEY",
        help="key to accept; may be repeated. Other users can see it in the process list: prefer setting"
        " CLAUDE_API_KEY (default: none if there are keys of 'claude-code-client keys', else a random one)",
    )
    return parser


def _build_settings(options: argparse.Namespace) -> Settings:
    # Removed from the environment, so that no child process inherits the keys.
    upstream_key = os.environ.pop("ANTHROPIC_API_KEY", "").strip() or None
    from_environment = os.environ.pop("CLAUDE_API_KEY", "").strip()
    keys = options.api_key or ([from_environment] if from_environment else [])
    if not all(key.strip() for key in keys):
        raise StartError("a key must not be empty")
    workspace = bootstrap.resolve_workspace(options.workspace, allow_home=options.allow_home_workspace)
    bootstrap.check_state_dir(options.state_dir, workspace)
    if not keys and not has_active_keys(options.state_dir):
        keys = [new_key()]
    return Settings(
        workspace=workspace,
        api_keys=tuple(keys),
        state_dir=options.state_dir,
        upstream=options.upstream or ("anthropic" if upstream_key else "offline"),
        upstream_key=upstream_key,
        model=options.model,
        allowed_hosts=(options.host, *options.allowed_host),
        catalog=bootstrap.read_price_file(options.prices) if options.prices else ModelCatalog(),
    )


def _banner(settings: Settings, url: str, host: str) -> str:
    note = _OFFLINE_NOTE if settings.upstream == "offline" else ""
    lines = [
        f"Claude Code API at {url}",
        f"  workspace  {settings.workspace}",
        f"  upstream   {settings.upstream}{note}",
        f"  key        {', '.join(settings.api_keys) or 'those of claude-code-client keys'}",
        "",
        f"export CLAUDE_BASE_URL={url}",
        *(f"export CLAUDE_API_KEY={key}" for key in settings.api_keys[:1]),
        "",
    ]
    if not is_loopback(host):
        lines += [
            f"WARNING: {host} is not a loopback address: anyone who reaches it with a key can run commands as you,",
            "and keys travel in clear text. Put a proxy with TLS in front of the server.",
            "",
        ]
    return "\n".join([*lines, "Press Ctrl-C to stop."])


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
