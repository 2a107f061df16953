"""Adaptive concurrency: how many calls to keep in flight. No I/O, no clock of its own.

The limit climbs the throughput, which accounts for latency by Little's law. It doubles up to the most that is allowed,
unless that makes the throughput fall (slow start), and settles at the highest that came close to the best. From
there it tries a quarter more and a fifth less in turn, and tries less often the less that pays. More has to raise the
throughput; less has to raise it too, or to leave it while the latency is twice the least or more. A server that refuses
calls because of overload halves the limit, at most once for the calls in flight.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

START: Final = 10
"""Calls in flight at first: as many as TCP begins with (RFC 6928)."""
_UP: Final = 1.25
_DOWN: Final = 0.8
_CUT: Final = 0.5
_WORTH: Final = 0.1
"""Share of a change of the limit that has to arrive as throughput."""
_IMPROVED: Final = 0.05
"""Gain in throughput for which the limit is lowered in any case."""
_CROWDED: Final = 2.0
"""Latency, as a multiple of the least, from which it is lowered for the sake of the latency."""
_NEAR_PEAK: Final = 0.93
"""Share of the peak throughput below which the limit is not lowered: many small losses would add up."""
_FADING: Final = 0.97
"""Share of the peak that is left after another measurement: the server may have changed."""
_CLOSE: Final = 0.9
"""Share of the best throughput that is good enough to settle at after the slow start."""
_FALLS: Final = 0.7
"""Share of the best throughput below which the slow start ends."""
_ROUNDS: Final = 3
"""Calls for each one in flight that a measurement takes; one during the slow start, whose steps are large."""
_LEAST: Final = 8
"""Calls that a measurement takes at least."""
_BRIEF: Final = 0.3
"""Seconds within which chance decides, of the machine as of the network, unless many calls have ended."""
_MANY: Final = 200
_RESTS: Final = 8
"""Most measurements between two trials."""
_LONG_RESTS: Final = 32
"""Most of them while calls hardly wait for each other, when a lower limit can bring nothing."""
_FREE: Final = 1.3
"""Latency, as a multiple of the least, below which this is so: a gain of 5 % by a fifth less takes a quarter of it."""
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
    _peak: float = attrs.field(init=False, default=0.0)
    """Best throughput of late."""
    _least_latency: float = attrs.field(init=False, default=math.inf)
    """Seconds that a call took at best of late, by Little's law."""
    _is_sure: bool = attrs.field(init=False, default=False)
    """True if a measurement that speaks for a lower limit is being repeated."""
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

    @property
    def is_starting(self) -> bool:
        """True during the slow start."""
        return self._scanned is not None

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
        if elapsed < _BRIEF and self._ended < _MANY:
            return
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
        self._note_latency(rate)
        best = max([rate, *(rate for _, rate in scanned)])
        falls = rate < _FALLS * best
        if falls and not self._is_sure:
            # It may be chance: the same once more.
            self._is_sure = True
            self._measure(self.limit)
            return
        self._is_sure = False
        scanned.append((self.limit, rate))
        if self.limit < self.most and not falls:
            self._measure(min(self.limit * 2, self.most))
            return
        self._scanned = None
        # Of limits that are as good as each other, the highest: chance may have favoured a low one, and a limit that is
        # too low costs throughput. Calls that only wait for each other cost nothing but their latency.
        self._settle_at(max(limit for limit, rate in scanned if rate >= _CLOSE * best))

    def _note_latency(self, rate: float) -> None:
        self._least_latency = min(self.limit / rate, self._least_latency / _FADING)

    def _settle_at(self, limit: int) -> None:
        self._base, self._base_rate = limit, None
        self._upwards, self._failures, self._rests, self._peak, self._is_sure = True, 0, 2, 0.0, False
        self._measure(limit)

    def _compare(self, rate: float) -> None:
        """Judge the trial that has been measured, or note the rate of the limit that it will be compared with."""
        before, after = self._base, self.limit
        self._note_latency(rate)
        self._peak = max(rate, self._peak * _FADING)
        if after == before:
            self._base_rate = rate
            self._rests -= 1
            if rate < _FALLS * self._peak:
                # The server has changed: what was measured before does not count, and the limit is to follow soon.
                self._peak, self._rests = rate, 0
        elif self._pays(rate / (self._base_rate or rate) - 1, after / before - 1, rate, self._base_rate or rate):
            self._failures = 0
            if after > before or self._is_sure:
                self._base, self._base_rate, self._is_sure = after, rate, False
            else:
                # A stall while the base was measured looks the same: less is taken if it pays twice in a row.
                self._is_sure, self._rests = True, 1
        else:
            # The rate that it was compared with may be out of date: it is measured again.
            self._upwards = not self._upwards
            self._is_sure = False
            self._failures += 1
            is_free = self._base == self.most and before / (self._base_rate or rate) < _FREE * self._least_latency
            self._rests = min(2 ** (self._failures - 1), _LONG_RESTS if is_free else _RESTS)
        self._measure(self._base if self._rests > 0 else self._trial())

    def _pays(self, gain: float, growth: float, rate: float, base_rate: float) -> bool:
        """Return whether a trial with this gain in throughput pays for the growth, which may be negative."""
        if growth > 0:
            return gain >= _WORTH * growth
        if gain >= _IMPROVED:
            return True
        # Shorter waits for the same throughput are worth it if calls wait for each other for most of their time.
        is_crowded = self._base / base_rate >= _CROWDED * self._least_latency
        return is_crowded and gain >= 0 and rate >= _NEAR_PEAK * self._peak

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
