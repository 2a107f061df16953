"""Stalls of a busy machine: how long its processors and the interpreter lock kept a thread waiting.

Tests that show how soon a call ends allow for them, and for a little more: what they show is the call's own bound.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self

PAUSE: Final = 0.01
NOISE: Final = 0.5
"""Seconds that a machine may take to wake a thread and to unwind a call, beside its stalls."""


class Stalls:
    """Measures stalls, from a thread that only sleeps, while it is entered."""

    def __init__(self) -> None:
        self._stalls: list[tuple[float, float]] = []
        """Time at which each should have ended, and time at which it did."""
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._measure, name="stalls")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()

    def seconds(self, began: float = 0.0, ended: float = math.inf) -> float:
        """Return the seconds that were stalled between two monotonic times."""
        return sum(max(min(end, ended) - max(due, began), 0.0) for due, end in self._stalls)

    def allowance(self, began: float = 0.0, ended: float = math.inf) -> float:
        """Return the seconds by which what ran between two monotonic times may be late."""
        # Both the call and the other side of its connection may have been kept waiting.
        return NOISE + 2 * self.seconds(began, ended)

    def _measure(self) -> None:
        while not self._left.is_set():
            due = time.monotonic() + PAUSE
            self._left.wait(PAUSE)
            self._stalls.append((due, time.monotonic()))


@contextmanager
def in_time(seconds: float) -> Iterator[None]:
    """Fail if the block takes longer, stalls of the machine aside."""
    with Stalls() as stalls:
        began = time.monotonic()
        yield
        ended = time.monotonic()
    allowed = seconds + stalls.allowance(began, ended)
    assert ended - began <= allowed, f"took {ended - began:.2f} s, {seconds:g} s and noise are {allowed:.2f} s"
