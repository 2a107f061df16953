"""Disturbances of a call: KeyboardInterrupt before any line, signals, threads that close, collections."""

from __future__ import annotations

import dis
import gc
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_OWN = ("/support/lifetime/", "<frozen ", "/importlib/", "/threading.py")
"""Code that is not interrupted. An interrupted Thread.start() leaves the interpreter's own lists in disorder."""
_FINALIZERS = ("__del__", "_note_collection")
"""Functions whose exceptions Python does not raise to anybody."""


class LineInterrupt:
    """Raises KeyboardInterrupt before one of the lines that a call executes, in any library."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._lines: dict[str, int] = {}
        """Lines that each call has executed at most."""
        self.hit = ""
        """Place of the last interruption; empty if there was none."""

    def interrupt(self, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt, as the handler of SIGINT does, and note where."""
        if frame is not None:
            self.hit = f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}"
        raise KeyboardInterrupt("injected")

    @contextmanager
    def during(self, name: str, at_last: float) -> Iterator[None]:
        """Interrupt the block, which makes the call of this name: before a line, or at last after some seconds."""
        at_most = self._lines.get(name, 2000)
        self._left = self._dice.randint(1, at_most)
        self._count = 0
        self.hit = ""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            with alarm(at_last, lambda frame: None if self.hit else self.interrupt(frame)):
                yield
        finally:
            sys.settrace(before)
            if not self.hit:
                self._lines[name] = max(self._count, 1)

    def _enter(self, frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if any(part in name for part in _OWN) or frame.f_code.co_name in _FINALIZERS or _is_own(frame):
            return None
        return self._line

    def _line(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            self._count += 1
            if self._count >= self._left and not self.hit and not _releases(frame):
                self.interrupt(frame)
        return self._line


def _releases(frame: FrameType) -> bool:
    """Return whether a frame is about to leave a ``with``: before that, Python runs no signal handler."""
    coming = [step for step in dis.get_instructions(frame.f_code) if step.offset >= frame.f_lasti][:5]
    nones = [step.opname == "LOAD_CONST" and step.argval is None for step in coming]
    return nones[:3] == [True] * 3 or nones[1:4] == [True] * 3 or nones[2:5] == [True] * 3


def _is_own(frame: FrameType) -> bool:
    """Return whether a frame belongs to a ``with`` statement of the campaign itself."""
    caller = frame.f_back
    if caller is None or not frame.f_code.co_filename.endswith("/contextlib.py"):
        return False
    return "/support/lifetime/" in caller.f_code.co_filename


@contextmanager
def alarm(seconds: float, action: Callable[[FrameType | None], object]) -> Iterator[None]:
    """Run an action in a signal handler after some seconds, unless the block has ended. It gets the frame."""
    before = signal.signal(signal.SIGALRM, lambda _, frame: action(frame) and None)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def in_thread(seconds: float, action: Callable[[], object]) -> Iterator[None]:
    """Run an action in another thread after some seconds, and wait for it."""
    timer = threading.Timer(seconds, action)
    timer.start()
    try:
        yield
    finally:
        timer.join()


@contextmanager
def eager_collector() -> Iterator[None]:
    """Let the collector run at nearly every allocation of the block."""
    before = gc.get_threshold()
    gc.set_threshold(3, 2, 2)
    try:
        yield
    finally:
        gc.set_threshold(*before)
