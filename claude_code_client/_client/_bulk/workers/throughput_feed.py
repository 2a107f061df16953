"""Throughput of all workers, for the adaptive concurrency: ends of calls in the order of time. No I/O, no clock.

Reports come once a chunk, and tell of calls of the last seconds. A call is counted once no running chunk can still tell
of an earlier one, and only if every chunk was sent under the limit that is being measured.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterable

import attrs

from ..concurrency import AdaptiveConcurrency


@attrs.define
class ThroughputFeed:
    """Feed of one batch."""

    concurrency: AdaptiveConcurrency
    _ends: list[float] = attrs.field(factory=list)
    _since: float = -math.inf
    """Time from which all running chunks have the present limit; infinite until there is one."""

    def report(self, ends: Iterable[float], running: Collection[tuple[float, int]], now: float) -> None:
        """Take the times at which calls have ended.

        Args:
            ends: Seconds, on the coordinator's clock.
            running: Chunks that are still out: when they were sent, and the limit at that time.
            now: Seconds.
        """
        for end in ends:
            heapq.heappush(self._ends, end)
        known_until = min((sent for sent, _ in running), default=now)
        while self._ends and self._ends[0] <= known_until:
            end = heapq.heappop(self._ends)
            if end < self._since:
                continue
            before = self.concurrency.limit
            self.concurrency.ended(end)
            if self.concurrency.limit != before:
                self._since = math.inf
        self._check(running, now)

    def limit_changed(self) -> None:
        """Note that the limit has changed for another reason."""
        self._since = math.inf

    def _check(self, running: Collection[tuple[float, int]], now: float) -> None:
        if self._since == math.inf and all(limit == self.concurrency.limit for _, limit in running):
            self._since = now
