"""Adaptive concurrency: how many calls to keep in flight. No I/O, no clock of its own.

The limit climbs the throughput, which accounts for latency by Little's law. It doubles up to the most that is allowed,
unless that makes the throughput fall (slow start), and settles at the least limit that came close to the best. From
there it tries a quarter more and a fifth less in turn, keeps what pays, and tries less often the less that pays: a
limit that only makes calls wait longer is left again. A server that refuses calls because of overload halves it, at
most once for the calls in flight.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

START: Final = 4
"""Calls in flight at first."""
_UP: Final = 1.25
_DOWN: Final = 0.8
_CUT: Final = 0.5
_WORTH: Final = 0.3
"""Share of a change of the limit that has to arrive as throughput."""
_CLOSE: Final = 0.9
"""Share of the best throughput that is good enough to settle at after the slow start."""
_FALLS: Final = 0.7
"""Share of the best throughput below which the slow start ends."""
_ROUNDS: Final = 3
"""Calls for each one in flight that a measurement takes; one during the slow start, whose steps are large."""
_LEAST: Final = 8
"""Calls that a measurement takes at least."""
_RESTS: Final = 8
"""Most measurements between two trials."""
_TOLERATED: Final = 0.05
"""Share of refused calls that says nothing about the limit: every large service has some."""
_FEW: Final = 20
"""Calls that are counted as taken beforehand, so that a single refusal does not count."""
_MEMORY: Final = 400
"""Calls."""


@attrs.define
class AdaptiveConcurrency:
    """Limit on the calls in flight, between 1 and ``most``."""

    most: int
    limit: int = attrs.field(init=False)
    _base: int = attrs.field(init=False)
    """Limit that the last measurement was in favour of."""
    _base_rate: float | None = attrs.field(init=False, default=None)
    """Calls per second at that limit; None if it is being measured."""
    _scanned: list[tuple[int, float]] | None = attrs.field(init=False, factory=list)
    """Limits and their calls per second during the slow start; None after it."""
    _upwards: bool = attrs.field(init=False, default=True)
    """Direction of the next trial."""
    _rests: int = attrs.field(init=False, default=0)
    """Measurements until the next trial."""
    _failures: int = attrs.field(init=False, default=0)
    """Trials in a row that did not pay."""
    _settling: int = attrs.field(init=False, default=0)
    """Calls still to end that were sent under the limit before."""
    _since: float | None = attrs.field(init=False, default=None)
    _ended: int = attrs.field(init=False, default=0)
    _is_held_back: bool = attrs.field(init=False, default=False)
    """True if something else than the limit has held calls back during the measurement."""
    _refused: float = attrs.field(init=False, default=0.0)
    _taken: float = attrs.field(init=False, default=0.0)
    """Calls of late that the server has refused because of overload, and calls that have ended."""
    _immune: int = attrs.field(init=False, default=0)
    """Calls still to end that were in flight at the last cut, and whose refusals are part of its reason."""

    def __attrs_post_init__(self) -> None:
        self.limit = self._base = min(START, self.most)

    def held_back(self) -> None:
        """Note that calls were held back by something else than the limit, which a measurement is no use for."""
        self._is_held_back = True

    def ended(self, now: float) -> None:
        """Note the end of a call, at ``now`` (seconds)."""
        self._immune = max(self._immune - 1, 0)
        self._taken += 1
        if self._taken > _MEMORY:
            self._taken, self._refused = self._taken / 2, self._refused / 2
        if self._settling > 0:
            self._settling -= 1
            return
        if self._since is None:
            self._since = now
            return
        self._ended += 1
        rounds = _ROUNDS if self._scanned is None else 1
        if self._ended < max(rounds * self.limit, _LEAST):
            return
        elapsed = now - self._since
        if self._is_held_back or elapsed <= 0:
            self._measure(self.limit)
        elif self._scanned is not None:
            self._scan(self._scanned, self._ended / elapsed)
        else:
            self._compare(self._ended / elapsed)

    def overloaded(self, in_flight: int) -> None:
        """Note that the server has refused a call because of overload; halve the limit if it refuses many."""
        if self._immune > 0:
            return
        self._refused += 1
        if self._refused / (self._taken + _FEW) <= _TOLERATED:
            return
        self._refused = self._taken = 0.0
        self._immune = in_flight
        self._scanned = None
        self._settle_at(max(int(min(self.limit, max(in_flight, 1)) * _CUT), 1))

    def _scan(self, scanned: list[tuple[int, float]], rate: float) -> None:
        scanned.append((self.limit, rate))
        best = max(rate for _, rate in scanned)
        if self.limit < self.most and rate >= _FALLS * best:
            self._measure(min(self.limit * 2, self.most))
            return
        self._scanned = None
        self._settle_at(next(limit for limit, rate in scanned if rate >= _CLOSE * best))

    def _settle_at(self, limit: int) -> None:
        self._base, self._base_rate = limit, None
        self._upwards, self._failures, self._rests = True, 0, 2
        self._measure(limit)

    def _compare(self, rate: float) -> None:
        """Judge the trial that has been measured, or note the rate of the limit that it will be compared with."""
        before, after = self._base, self.limit
        if after == before:
            self._base_rate = rate
            self._rests -= 1
        elif self._base_rate is None or rate / self._base_rate - 1 >= _WORTH * (after / before - 1):
            self._base, self._base_rate = after, rate
            self._failures = 0
        else:
            # The rate that it was compared with may be out of date: it is measured again.
            self._upwards = not self._upwards
            self._failures += 1
            self._rests = min(2 ** (self._failures - 1), _RESTS)
        self._measure(self._base if self._rests > 0 else self._trial())

    def _trial(self) -> int:
        """Return the next limit to try."""
        if self._upwards and self._base == self.most:
            self._upwards = False
        if not self._upwards and self._base == 1:
            self._upwards = True
        return min(math.ceil(self._base * _UP), self.most) if self._upwards else max(int(self._base * _DOWN), 1)

    def _measure(self, limit: int) -> None:
        # The calls in flight were sent under the limit before.
        self._settling = 0 if limit == self.limit else self.limit
        self.limit = limit
        self._since, self._ended, self._is_held_back = None, 0, False
