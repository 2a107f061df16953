"""Interruptions of the client's code before any of its lines, as signal handlers cause them."""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

_WATCHED = ("/claude_code_client/_", "/threading.py", "/queue.py", "/httpcore/_")
LOCKS: Final = (
    "lock",
    "quota",
    "cancellation",
    "deadline_network",
    "pool",
    "threading",
    "_synchronization",
    "budget",
    "http11",
)
"""Parts of the names of modules that take locks, or are called while one is held."""


def signal_main_thread(number: int) -> None:
    """Send a signal to the main thread, which is about to wait for a socket.

    One that arrives just before the system call is handled after it only, so give the thread the time to begin it.
    """
    time.sleep(0.05)
    signal.pthread_kill(threading.main_thread().ident or 0, number)


class Interruption:
    """Runs an action before one line of some modules, as a signal handler does."""

    def __init__(self, step: int, action: Callable[[], object], modules: Sequence[str] = LOCKS) -> None:
        self._left = step
        self._action = action
        self._modules = modules
        self.lines = 0

    @contextmanager
    def active(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)

    def _enter(self, frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        watched = any(part in name for part in _WATCHED) and any(part in name for part in self._modules)
        return self._line if watched and frame.f_code.co_name != "__del__" else None

    def _line(self, _: FrameType, event: str, __: Any) -> Any:
        if event == "line":
            self.lines += 1
            self._left -= 1
            if self._left == 0:
                self._action()
        return self._line


def steps_of(call: Callable[[], object], at_most: int, modules: Sequence[str] = LOCKS) -> list[int]:
    """Return the lines that a call executes in these modules, by number; a sample if they are too many."""
    counting = Interruption(0, lambda: None, modules)
    with counting.active():
        call()
    lines = range(1, counting.lines + 1)
    return list(lines) if len(lines) <= at_most else sorted(random.Random(7).sample(lines, at_most))
