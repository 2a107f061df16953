"""Meter of a batch: what has been done, and how fast. No I/O, no clock of its own."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import attrs

from .results import BatchProgress, BatchResult

_SPAN: Final = 60.0
"""Seconds over which the rate is taken."""
_STEP: Final = 1.0


@attrs.define
class BatchMeter:
    """Counts of a batch."""

    total: int | None
    began: float
    """Seconds."""
    done: int = 0
    failed: int = 0
    resumed: int = 0
    cost: float = 0.0
    _marks: deque[tuple[float, int]] = attrs.field(factory=deque)
    """Times, and items that had been run by then."""

    def note(self, result: BatchResult[Any], now: float) -> None:
        """Count a result."""
        self.done += 1
        self.failed += not result.ok
        if result.resumed:
            self.resumed += 1  # its cost was counted when the file was opened
            return
        self.cost += result.cost
        if not self._marks or now - self._marks[-1][0] >= _STEP:
            self._marks.append((now, self.done - self.resumed))
            while self._marks[0][0] < now - _SPAN:
                self._marks.popleft()

    def progress(self, now: float, in_flight: int, limit: int) -> BatchProgress:
        """Return the state of the batch."""
        since, count = self._marks[0] if len(self._marks) > 1 else (self.began, 0)
        elapsed = now - since
        return BatchProgress(
            total=self.total,
            done=self.done,
            failed=self.failed,
            resumed=self.resumed,
            in_flight=in_flight,
            limit=limit,
            cost=self.cost,
            elapsed=now - self.began,
            rate=(self.done - self.resumed - count) / elapsed if elapsed > 0 else 0.0,
        )
