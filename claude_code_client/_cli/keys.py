"""Command ``keys``: the API keys of an embedded server."""

from __future__ import annotations

from collections.abc import Sequence

from .server_command import run_server_command


def run(arguments: Sequence[str], *, is_program: bool) -> int:
    """Create, list, revoke or rotate keys, and return the exit status."""
    del is_program
    return run_server_command("keys", "run_keys", arguments)
