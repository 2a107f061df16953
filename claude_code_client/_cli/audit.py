"""Command ``audit``: who ran what."""

from __future__ import annotations

from collections.abc import Sequence

from .server_command import run_server_command


def run(arguments: Sequence[str], *, is_program: bool) -> int:
    """Print the audit log, and return the exit status."""
    del is_program
    return run_server_command("audit_command", "run_audit", arguments)
