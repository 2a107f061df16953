"""Embedded server with the offline model, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from claude_code_client._client.local_server import LocalServer


@contextmanager
def offline_server(workspace: str) -> Iterator[LocalServer]:
    """Run a server whose agents work in a directory, within the block."""
    server = LocalServer(
        workspace=workspace,
        upstream="offline",
        anthropic_api_key=None,
        model=None,
        state_dir=None,
        prices=None,
        allow_home_workspace=False,
        sandbox=False,
    )
    try:
        yield server
    finally:
        server.stop()
