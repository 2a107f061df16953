"""Servers of ``ClaudeClient.local()``, forked from a process that has imported the server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest

from claude_code_client._client import local_server
from support.fork_server import AVAILABLE, SERVER, ForkedProcess

COMMAND = [sys.executable, "-P", "-m", SERVER, "child"]


def _fork(
    command: Sequence[str], *, stdin: int, stdout: int, env: Mapping[str, str], start_new_session: bool
) -> ForkedProcess:
    assert (list(command), stdin, stdout) == (COMMAND, subprocess.PIPE, subprocess.PIPE)
    stderr = 2
    return ForkedProcess(
        SERVER, ["child"], env=env, stdin=True, stderr=stderr, text=False, new_session=start_new_session
    )


@contextmanager
def forked_local_servers() -> Iterator[None]:
    """Fork the servers that ``local()`` starts in this process, within the block."""
    with pytest.MonkeyPatch.context() as patch:
        if AVAILABLE:
            patch.setattr(local_server, "Popen", _fork)
        yield


@contextmanager
def new_local_servers() -> Iterator[None]:
    """Start the servers of ``local()`` as a user's program does, within the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_server, "Popen", subprocess.Popen)
        yield
