"""Stalls of a busy machine: how long its processors and the interpreter lock kept a thread waiting."""

from __future__ import annotations

import threading
import time
from typing import Self

PAUSE = 0.01


class Stalls:
    """Measures the longest stall, from a thread that only sleeps, while it is entered."""

    def __init__(self) -> None:
        self.longest = 0.0
        """Seconds."""
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._measure, name="stalls")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()

    def _measure(self) -> None:
        while not self._left.is_set():
            start = time.monotonic()
            self._left.wait(PAUSE)
            self.longest = max(self.longest, time.monotonic() - start - PAUSE)
