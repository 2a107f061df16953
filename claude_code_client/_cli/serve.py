"""Command ``serve``: the embedded server in the foreground."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from .server_command import run_server_command


def run(arguments: Sequence[str], *, is_program: bool) -> int:
    """Run the server until it is stopped, and return the exit status. Raises ConfigurationError without its packages.

    Args:
        arguments: Options of the command.
        is_program: True if this process runs nothing else, so that it may be restarted.
    """
    if is_program:
        importlib.import_module("claude_code_server.process.isolation").isolate_process()
    return run_server_command("cli", "run_foreground", arguments)
