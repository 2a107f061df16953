"""Command line of the package: ``claude-code-client``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Final

from claude_code_common.version import __version__

from ..errors import ConfigurationError
from .local_server import check_installed

_HELP: Final = ("-h", "--help")
_COMMANDS: Final = {"serve": ("cli", "run_foreground"), "keys": ("keys", "run_keys")}
"""Module and function of each command."""
_USAGE: Final = """usage: claude-code-client serve [options]
       claude-code-client keys create|list|revoke|rotate [options]
       claude-code-client --version

  serve   run the embedded server in the foreground; for its options, see 'claude-code-client serve --help'
  keys    manage the API keys of an embedded server; see 'claude-code-client keys --help'
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in _HELP:
        sys.stdout.write(_USAGE)
        return 0 if arguments else 2
    if arguments[0] == "--version":
        sys.stdout.write(f"claude-code-client {__version__}\n")
        return 0
    if arguments[0] not in _COMMANDS:
        sys.stderr.write(f"claude-code-client: unknown command {arguments[0]!r}\n{_USAGE}")
        return 2
    try:
        # The help needs none of the server's packages.
        if not set(_HELP) & set(arguments):
            check_installed()
    except ConfigurationError as error:
        sys.stderr.write(f"claude-code-client: {error}\n")
        return 1
    if argv is None:  # this is the program, which may be restarted
        importlib.import_module("claude_code_server.process.isolation").isolate_process()
    module, function = _COMMANDS[arguments[0]]
    status: int = getattr(importlib.import_module(f"claude_code_server.process.{module}"), function)(arguments[1:])
    return status
