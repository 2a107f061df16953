"""Commands that the server's package implements."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from .._client.local_server import check_installed


def run_server_command(module: str, function: str, arguments: Sequence[str]) -> int:
    """Run a command of ``claude_code_server.process``, and return its exit status.

    Raises ConfigurationError if packages of the server are missing, which the command's help does not need.
    """
    if "-h" not in arguments and "--help" not in arguments:
        check_installed()
    status: int = getattr(importlib.import_module(f"claude_code_server.process.{module}"), function)(list(arguments))
    return status
