"""Search for running processes, and waiting for other processes."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil


def processes_of(root: Path) -> list[psutil.Process]:
    """Return the processes whose working directory or arguments are in this directory."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.cwd()]
        except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
            continue
        if any(str(root) in word for word in words):
            found.append(process)
    return found


def eventually(condition: Callable[[], object]) -> None:
    """Wait until the condition, set by another process, holds; fail after 15 seconds."""
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
