"""Orphans: processes of a run that outlived its supervisor, and that this process adopted. Blocking: use a thread."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Final

import psutil

from ..runtime import own_processes
from ..runtime.process_control import adopts_orphans
from .supervisor import is_stopped

_ROUNDS: Final = 50
_GRACE: Final = 0.4
"""Seconds to wait in each round for the killed processes to end."""


def kill_orphans(is_supervisor: Callable[[psutil.Process], bool]) -> list[int]:
    """Kill all children of this process but supervisors, and then the children that these leave behind.

    Return the PIDs of those that had been killed before, and whose end the kernel has not finished: ``collect`` them.
    As long as a supervisor lives, it adopts its own descendants. Do nothing if this process does not adopt orphans.
    """
    stopped: list[int] = []
    if not adopts_orphans():
        return stopped
    this = psutil.Process()
    for _ in range(_ROUNDS):
        with own_processes.lock:
            orphans = [
                child
                for child in this.children()
                if child.pid not in own_processes.pids and not is_supervisor(child) and not _is_starting(child, this)
            ]
            ending = {orphan.pid for orphan in orphans if is_stopped(orphan.pid)}
            own_processes.pids.update(ending)
        stopped += ending
        orphans = [orphan for orphan in orphans if orphan.pid not in ending]
        if not orphans:
            break
        for orphan in orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                orphan.kill()
        psutil.wait_procs(orphans, timeout=_GRACE)
    return stopped


def collect(stopped: list[int]) -> None:
    """Wait for the ends of orphans, so that nothing of them is left."""
    for pid in stopped:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        own_processes.pids.discard(pid)


def _is_starting(child: psutil.Process, parent: psutil.Process) -> bool:
    """Return whether a child is still a copy of its parent, about to execute a program."""
    try:
        return child.cmdline() == parent.cmdline()
    except psutil.Error:
        return False
