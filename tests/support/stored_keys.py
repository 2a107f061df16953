"""Keys of a state directory, made with ``claude-code-client keys`` while a server may be using it."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from claude_code_client._cli.cli import main


def keys_command(command: str, state_dir: Path, *arguments: str) -> str:
    """Run ``claude-code-client keys COMMAND`` in this process and return its standard output."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(["keys", command, *arguments, f"--state-dir={state_dir}"])
    assert status == 0, err.getvalue()
    return out.getvalue()


def create_key(state_dir: Path, name: str, *options: str) -> str:
    """Create a key and return it."""
    return keys_command("create", state_dir, name, *options).strip()


def revoke_key(state_dir: Path, name: str) -> None:
    keys_command("revoke", state_dir, name)


def rotate_key(state_dir: Path, name: str) -> str:
    """Replace a key and return the new one."""
    return keys_command("rotate", state_dir, name).strip()
