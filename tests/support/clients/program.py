"""Programs of the tests that run in a process of their own, with an environment built from nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support import fork_server

_TESTS = Path(__file__).resolve().parents[2]


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of the tests."""
    return [sys.executable, "-m", module, *arguments]


def start(module: str, *arguments: str) -> subprocess.Popen[str] | fork_server.ForkedProcess:
    """Start a module of the tests, with pipes for its output and errors."""
    if fork_server.AVAILABLE:
        return fork_server.ForkedProcess(module, arguments, env=environment())
    pipe = subprocess.PIPE
    return subprocess.Popen(command(module, *arguments), stdout=pipe, stderr=pipe, text=True, env=environment())


def environment() -> dict[str, str]:
    """Return the environment in which the tests' modules can be imported, without keys or proxies."""
    path = [str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": os.pathsep.join(path)}
