"""Supervisor script: runs Claude Code as a child process and leaves none of its descendants behind.

    supervisor.py SPEC [ARGUMENT...]

SPEC is a JSON file, deleted after reading: {"cli": path, "env": {...}, "parent": pid}. The child gets the arguments,
exactly that environment, the supervisor's standard streams, and a session of its own. When the child exits, or when
the supervisor is terminated or loses its parent, the supervisor terminates all descendants, in whatever session.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import psutil

_LINUX: Final = sys.platform == "linux"
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_GRACE: Final = 0.4
"""Seconds that descendants may take to exit after each signal."""
_ROUNDS: Final = 20
_TICK: Final = 0.5
"""Seconds between looks at the process tree where the kernel does not reparent orphans to the supervisor."""


def main(spec_path: str, *arguments: str) -> int:
    """Run the child until it exits or the supervisor has to stop; return the child's exit code."""
    received: list[int] = []
    wake = _install_signal_handlers(received)
    spec = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    Path(spec_path).unlink()
    prctl = _load_prctl()
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != spec["parent"]:
        return 1
    child = subprocess.Popen(
        [spec["cli"], *arguments],
        env=spec["env"],
        start_new_session=True,
        preexec_fn=lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
    )
    known: set[psutil.Process] = set()
    code: int | None = None
    while code is None and not received and os.getppid() == spec["parent"]:
        # Without a subreaper, orphans leave the process tree: remember them before they do.
        if not _LINUX:
            known |= _descendants()
        select.select([wake], [], [], None if _LINUX else _TICK)
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 4096)
        code = _reap(child.pid)
    if not (_LINUX and _is_childless()):
        _terminate_all(known)
    child.returncode = code or 0
    return child.returncode


def _install_signal_handlers(received: list[int]) -> int:
    """Return a file descriptor that becomes readable with each signal; append signals that request an end to
    ``received``.

    SIGINT is ignored: a terminal sends it to the whole foreground group, and the parent decides how to react.
    """
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: received.append(number))
    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return reading


def _load_prctl() -> Callable[[int, int], object]:
    if not _LINUX:
        return lambda option, value: None
    import ctypes

    prctl: Callable[[int, int], object] = ctypes.CDLL(None).prctl
    return prctl


def _reap(child: int) -> int | None:
    """Reap all exited children, adopted ones included; return the exit code of ``child`` if it is among them."""
    code = None
    with contextlib.suppress(ChildProcessError):
        while (exited := os.waitpid(-1, os.WNOHANG))[0]:
            if exited[0] == child:
                code = os.waitstatus_to_exitcode(exited[1])
    return code if code is None or code >= 0 else 128 - code


def _is_childless() -> bool:
    """Reap all exited children; return True if none is left. A subreaper's descendants are below its children."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def _descendants() -> set[psutil.Process]:
    # Imported when it is needed: neither the child's start nor the usual end of a task waits for the import.
    import psutil

    return set(psutil.Process().children(recursive=True))


def _terminate_all(known: set[psutil.Process]) -> None:
    """Terminate every descendant, then kill the rest, repeatedly: new ones may have started meanwhile."""
    import psutil

    for attempt in range(_ROUNDS):
        family = _descendants() | {process for process in known if process.is_running()}
        if not family:
            return
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate() if attempt == 0 else process.kill()
        psutil.wait_procs(family, timeout=_GRACE)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
