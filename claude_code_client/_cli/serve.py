"""Command ``serve``: the embedded server in the foreground."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from .._client.local_server import check_installed


def run(arguments: Sequence[str], *, is_program: bool) -> int:
    """Run the server until it is stopped, and return the exit status. Raises ConfigurationError without its packages.

    Args:
        arguments: Options of the command.
        is_program: True if this process runs nothing else, so that it may be restarted.
    """
    # The help needs none of the server's packages.
    if "-h" not in arguments and "--help" not in arguments:
        check_installed()
    if is_program:
        importlib.import_module("claude_code_server.process.isolation").isolate_process()
    status: int = importlib.import_module("claude_code_server.process.cli").run_foreground(list(arguments))
    return status
