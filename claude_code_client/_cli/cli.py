"""Command line of the package: ``claude-code-client``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Final

from claude_code_common.version import __version__

from ..errors import ClaudeAPIError

_HELP: Final = ("-h", "--help")
COMMANDS: Final = {
    "batch": "run a file of completions or tasks, and go on after a crash",
    "serve": "run the embedded server in the foreground",
    "keys": "create, list, revoke and rotate the API keys of an embedded server",
    "backup": "copy the state of a server, which may be running, into one file",
    "audit": "print who ran what, with which tools, at what cost",
}
"""Commands with their descriptions. The module of the same name has ``run(arguments, *, is_program)``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in _HELP:
        sys.stdout.write(_usage())
        return 0 if arguments else 2
    command, *options = arguments
    if command == "--version":
        sys.stdout.write(f"claude-code-client {__version__}\n")
        return 0
    if command not in COMMANDS:
        sys.stderr.write(f"claude-code-client: unknown command {command!r}\n{_usage()}")
        return 2
    # Each command imports only what it needs.
    module = importlib.import_module(f"{__package__}.{command}")
    try:
        status: int = module.run(options, is_program=argv is None)
    except ClaudeAPIError as error:
        sys.stderr.write(f"claude-code-client: {error}\n")
        return 1
    return status


def _usage() -> str:
    commands = "".join(f"  {name:<8}{description}\n" for name, description in COMMANDS.items())
    return (
        "usage: claude-code-client COMMAND [options]\n       claude-code-client --version\n\n"
        f"{commands}\nFor the options of a command, run 'claude-code-client COMMAND --help'.\n"
    )
