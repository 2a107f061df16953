"""Command ``backup``: a copy of a server's state."""

from __future__ import annotations

from collections.abc import Sequence

from .server_command import run_server_command


def run(arguments: Sequence[str], *, is_program: bool) -> int:
    """Copy the state of a server, and return the exit status."""
    del is_program
    return run_server_command("backup_command", "run_backup", arguments)
