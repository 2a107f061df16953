"""Programs of the tests that run in a process of their own, with an environment built from nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[2]


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of the tests."""
    return [sys.executable, "-m", module, *arguments]


def environment() -> dict[str, str]:
    """Return the environment in which the tests' modules can be imported, without keys or proxies."""
    path = [str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": os.pathsep.join(path)}
