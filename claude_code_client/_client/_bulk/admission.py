"""Admission of calls: whether the next one may start, for calls of this process. No I/O, no clock of its own."""

from __future__ import annotations

from typing import Protocol

import attrs

from .concurrency import AdaptiveConcurrency
from .rate_limit import RequestPace


class Admission(Protocol):
    """Admission of calls, wherever they run."""

    def delay(self, calls: int, now: float) -> float | None:
        """Return the seconds until a call may start beside others: 0 for now, None if that is not known."""
        ...

    def has_room(self, calls: int) -> bool:
        """Return whether another call may start before one of these has ended."""
        ...

    def started(self, now: float) -> None:
        """Note a call that starts."""
        ...

    def ended(self, now: float) -> None:
        """Note the end of a call."""
        ...

    def in_flight(self, calls: int) -> int:
        """Return how many of these calls are in flight."""
        ...

    async def aclose(self) -> None:
        """End what is in progress elsewhere."""
        ...


@attrs.frozen
class LocalAdmission:
    """Admission of calls of this process."""

    _concurrency: AdaptiveConcurrency
    _pace: RequestPace

    def delay(self, calls: int, now: float) -> float | None:
        if calls >= self._concurrency.limit:
            return None
        delay = self._pace.delay(now)
        if delay > 0:
            self._concurrency.held_back()
        return delay

    def has_room(self, calls: int) -> bool:
        return calls < self._concurrency.limit

    def started(self, now: float) -> None:
        self._pace.started(now)

    def ended(self, now: float) -> None:
        self._concurrency.ended(now)

    def in_flight(self, calls: int) -> int:
        return calls

    async def aclose(self) -> None:
        pass
