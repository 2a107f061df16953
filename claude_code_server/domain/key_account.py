"""Account of a key with budgets: what its work has cost this day and month, and what work in progress may add. No I/O.

Work counts on the day on which it ends; while it runs, it counts today.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs

from .permissions import Permissions


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def day_start(moment: datetime) -> datetime:
    """Return the start of the day of a time in UTC."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def month_start(moment: datetime) -> datetime:
    """Return the start of the month of a time in UTC."""
    return day_start(moment).replace(day=1)


@attrs.define
class _Budget:
    """Budget of one period."""

    name: str
    limit: float
    start_of: Callable[[datetime], datetime]
    longest: timedelta
    """Time from the start of a period to some time in the next one."""
    since: datetime
    spent: float

    def roll(self, now: datetime) -> None:
        """Begin the next period if it is time. A clock that is set back begins none."""
        if (start := self.start_of(now)) > self.since:
            self.since, self.spent = start, 0.0

    @property
    def ends(self) -> datetime:
        return self.start_of(self.since + self.longest)


@attrs.frozen
class _Hold:
    """Cost of work in progress."""

    cost: float
    reserved: float
    """Most in USD that its model calls in progress may add."""


class KeyAccount:
    """Budgets of one key. Work in progress is known by an ID."""

    def __init__(
        self,
        permissions: Permissions,
        spent_since: Callable[[datetime], float] = lambda _: 0.0,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Open an account. ``spent_since`` returns what ended work has cost since a time."""
        self._clock = clock
        now = clock()
        self._budgets = [
            _Budget(name, limit, start_of, longest, start_of(now), spent_since(start_of(now)))
            for name, limit, start_of, longest in (
                ("day", permissions.day_budget, day_start, timedelta(days=1)),
                ("month", permissions.month_budget, month_start, timedelta(days=31)),
            )
            if limit is not None
        ]
        self._holds: dict[str, _Hold] = {}

    def hold(self, work: str, cost: float, reserved: float) -> None:
        """Note what work in progress has cost so far, and the most that its calls in progress may add."""
        if self._budgets:
            self._holds[work] = _Hold(cost, reserved)

    def settle(self, work: str, cost: float) -> None:
        """Note the cost of work that has ended."""
        if not self._budgets:
            return
        self._roll()
        self._holds.pop(work, None)
        for budget in self._budgets:
            budget.spent += cost

    @property
    def limited(self) -> bool:
        return bool(self._budgets)

    @property
    def left(self) -> float:
        """Amount in USD that no work has spent or reserved; infinite without a budget, and negative if overdrawn."""
        if not self._budgets:
            return math.inf
        self._roll()
        return min(budget.limit - budget.spent for budget in self._budgets) - self._held

    @property
    def reserved(self) -> float:
        """Amount in USD that calls in progress may leave."""
        return sum(hold.reserved for hold in self._holds.values())

    def left_in(self, period: str) -> tuple[float, float] | None:
        """Return the limit of a period, ``day`` or ``month``, and what is left of it; None without a limit."""
        self._roll()
        found = next((budget for budget in self._budgets if budget.name == period), None)
        return None if found is None else (found.limit, max(0.0, found.limit - found.spent - self._held))

    def busy(self, work: str) -> bool:
        """Return whether other work has calls in progress, whose end may leave money for this one."""
        return any(hold.reserved > 0 for other, hold in self._holds.items() if other != work)

    def describe(self) -> str:
        """Return the tightest budget in words."""
        tightest = self._tightest()
        return f"{tightest.name} budget of ${tightest.limit:g}"

    def seconds_left(self) -> float:
        """Return the seconds until the tightest budget starts anew."""
        return max(1.0, (self._tightest().ends - self._clock()).total_seconds())

    @property
    def _held(self) -> float:
        """Amount in USD of the work in progress, with what its calls may add."""
        return sum(hold.cost + hold.reserved for hold in self._holds.values())

    def _tightest(self) -> _Budget:
        self._roll()
        # Of two that are used up, the longer one decides.
        return min(reversed(self._budgets), key=lambda budget: max(0.0, budget.limit - budget.spent))

    def _roll(self) -> None:
        now = self._clock()
        for budget in self._budgets:
            budget.roll(now)


@attrs.frozen
class WorkBudget:
    """Share of one piece of work, such as a task, in the account of its key."""

    account: KeyAccount
    work: str

    @property
    def left(self) -> float:
        """USD; infinite without a budget."""
        return self.account.left

    @property
    def busy(self) -> bool:
        """True if other work has calls in progress, whose end may leave money."""
        return self.account.busy(self.work)

    def describe(self) -> str:
        """Return the tightest budget in words."""
        return self.account.describe()


NO_BUDGET = WorkBudget(KeyAccount(Permissions()), "")
"""Budget of work whose key has none."""
