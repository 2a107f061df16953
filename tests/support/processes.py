"""Which processes run, and waiting for what happens in them."""

import time
from collections.abc import Callable
from pathlib import Path

import psutil


def processes_of(root: Path) -> list[psutil.Process]:
    """Whatever runs in, or was started with a path of, this directory."""
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
    """Waits for what happens in another process."""
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
