"""Orphans: processes of a run that outlived its supervisor, and that this process adopted. Blocking: use a thread."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final

import psutil

from ..runtime import own_processes
from ..runtime.process_control import adopts_orphans

_ROUNDS: Final = 50
_GRACE: Final = 0.4
"""Seconds to wait in each round for the killed processes to end."""


def kill_orphans(is_supervisor: Callable[[psutil.Process], bool]) -> None:
    """Kill all children of this process but supervisors, and then the children that these leave behind.

    As long as a supervisor lives, it adopts its own descendants. Do nothing if this process does not adopt orphans.
    """
    if not adopts_orphans():
        return
    this = psutil.Process()
    for _ in range(_ROUNDS):
        with own_processes.lock:
            orphans = [
                child
                for child in this.children()
                if child.pid not in own_processes.pids and not is_supervisor(child) and not _is_starting(child, this)
            ]
        if not orphans:
            return
        for orphan in orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                orphan.kill()
        psutil.wait_procs(orphans, timeout=_GRACE)


def _is_starting(child: psutil.Process, parent: psutil.Process) -> bool:
    """Return whether a child is still a copy of its parent, about to execute a program."""
    try:
        return child.cmdline() == parent.cmdline()
    except psutil.Error:
        return False
