"""Search for running processes, waiting for other processes, and a check that none is left behind."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from . import fork_server


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


def eventually(condition: Callable[[], object], seconds: float = 15) -> None:
    """Wait until the condition, set by another process, holds; fail after some seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def no_process_left(but: Callable[[], int | None] = lambda: None) -> Iterator[None]:
    """Fail if descendants of this process that start within the block are left a while after it, ``but`` that one."""
    before = _descendants()
    yield
    left = _descendants() - before
    stay = {but(), *fork_server.running}
    assert psutil.wait_procs([process for process in left if process.pid not in stay], timeout=15)[1] == []


def _descendants() -> set[psutil.Process]:
    """Return the descendants of this process, and of what was forked for it."""
    found = set(psutil.Process().children(recursive=True))
    for pid in list(fork_server.forked):
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found |= {process, *process.children(recursive=True)}
    return found
