"""Runs Claude Code as a child and leaves none of its descendants behind. Started as a script of its own.

    _supervisor.py SPEC [ARGUMENT...]

SPEC is a JSON file, deleted once read: {"cli": path, "env": {...}, "parent": pid}. The child has the
arguments, exactly that environment, this process's streams, and a session of its own. When it ends, or when
this process is told to end or loses its parent, all that descends from it is ended too, wherever it went.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_GRACE = 0.4
_ROUNDS = 20
_TICK = 0.5


def main(spec_path: str, *arguments: str) -> int:
    told: list[int] = []
    wake = _wake_on_signals(told)
    spec = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    Path(spec_path).unlink()
    prctl = _prctl()
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
    seen: set[psutil.Process] = set()
    code: int | None = None
    while code is None and not told and os.getppid() == spec["parent"]:
        # Without a subreaper an orphan leaves the family: know it before it does.
        if not _LINUX:
            seen |= _descendants()
        select.select([wake], [], [], None if _LINUX else _TICK)
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 4096)
        code = _reap(child.pid)
    _end_all(seen)
    child.returncode = code or 0
    return child.returncode


def _wake_on_signals(told: list[int]) -> int:
    """A descriptor that becomes readable with each signal. Those that ask us to end are noted in ``told``.

    An interrupt from the keyboard goes to the whole foreground group; what to do then is the parent's to say.
    """
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: told.append(number))
    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return reading


def _prctl() -> Callable[[int, int], object]:
    if not _LINUX:
        return lambda option, value: None
    import ctypes

    call: Callable[[int, int], object] = ctypes.CDLL(None).prctl
    return call


def _reap(child: int) -> int | None:
    """Collect the children that have ended, adopted ones too. The exit code of ``child`` if it is one."""
    code = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                code = os.waitstatus_to_exitcode(ended[1])
    return code if code is None or code >= 0 else 128 - code


def _descendants() -> set["psutil.Process"]:
    # Imported with the child under way, which need not wait for it.
    import psutil

    return set(psutil.Process().children(recursive=True))


def _end_all(seen: set["psutil.Process"]) -> None:
    """Ask every descendant to end, then make it; again for those that were born meanwhile."""
    import psutil

    for attempt in range(_ROUNDS):
        family = _descendants() | {one for one in seen if one.is_running()}
        if not family:
            return
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate() if attempt == 0 else process.kill()
        psutil.wait_procs(family, timeout=_GRACE)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
