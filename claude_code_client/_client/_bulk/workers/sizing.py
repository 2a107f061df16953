"""Sizes of chunks: how many items a worker gets at once, for how long, and how many chunks are out. No I/O, no clock.

A chunk is to last a second or more, so that workers do not ask for each item, and several times as long as a call, so
that the end of a chunk, when calls are left without successors, counts little. Executors do not say how many workers
they have: reports name theirs, and a chunk that had to wait says that there were no others.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import attrs

_FIRST: Final = 0.25
"""Seconds that chunks last while the number of calls in flight is being found."""
_LEAST: Final = 1.0
"""Seconds that they last afterwards."""
_MOST: Final = 30.0
_FEW_CALLS: Final = 2
"""Calls, one after the other, that the first chunks take."""
_CALLS: Final = 8
"""Calls, one after the other, that later chunks take."""
MOST_ITEMS: Final = 512
"""Items of a chunk, unless it runs even more of them at once."""
_WEIGHT: Final = 0.3
"""Weight of the last chunk in the latency."""
_BRIEF: Final = 0.05
"""Seconds that a chunk takes on its way in any case."""
_QUEUED: Final = 0.15
"""Share of its run that a chunk may have waited before."""
_MEMORY: Final = 4
"""Chunks for each worker, in which all workers have reported."""


@attrs.define
class ChunkSizing:
    """Sizes of the chunks of one batch."""

    most_slots: int
    slots: int = attrs.field(init=False)
    """Chunks that may be out at once."""
    seconds: float = attrs.field(init=False, default=_FIRST)
    """Seconds within which the calls of a chunk may start."""
    _latency: float | None = attrs.field(init=False, default=None)
    """Seconds of a call."""
    _lately: deque[str] = attrs.field(init=False, factory=deque)
    """Workers of the last reports."""
    _since_wait: float = attrs.field(init=False, default=math.inf)
    """Reports since a chunk had to wait."""

    def __attrs_post_init__(self) -> None:
        self.slots = min(2, self.most_slots)

    def items(self, concurrency: int) -> int:
        """Return the number of items that a worker gets for calls with this concurrency."""
        if self._latency is None:
            return concurrency
        wanted = math.ceil(concurrency * self.seconds / max(self._latency, 1e-6))
        return max(min(wanted, MOST_ITEMS), concurrency)

    def note(self, worker: str, *, waited: float, seconds: float, latency: float | None, is_starting: bool) -> None:
        """Note the report on a chunk.

        Args:
            worker: Name of the worker.
            waited: Seconds that the chunk was on its way and in queues.
            seconds: Seconds that it ran.
            latency: Mean seconds of its calls; None if it made none.
            is_starting: Whether the number of calls in flight is still being found.
        """
        if latency is not None:
            before = latency if self._latency is None else self._latency
            self._latency = before + _WEIGHT * (latency - before)
            first = max(_FEW_CALLS * self._latency, _FIRST)
            later = min(max(_CALLS * self._latency, _LEAST), _MOST)
            self.seconds = min(first if is_starting else later, _MOST)
        self._since_wait = 0 if waited > max(_BRIEF, _QUEUED * seconds) else self._since_wait + 1
        self._lately.append(worker)
        while len(self._lately) > max(_MEMORY * self.slots, 8):
            self._lately.popleft()
        known = len(set(self._lately))
        if self._since_wait == math.inf:
            self.slots = max(2 * known, self.slots)
        else:
            # Another one is tried now and then: workers may have been added.
            self.slots = known + (self._since_wait > _MEMORY * max(known, 8))
        self.slots = min(self.slots, self.most_slots)
