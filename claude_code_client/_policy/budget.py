"""Spending budgets: the most that a call may cost is reserved before it is sent, and settled once the cost is known."""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection
from typing import Final, NoReturn, SupportsIndex

from ..errors import ConfigurationError, CostExceededError

__all__ = ["Budget"]

_LARGEST: Final = sys.float_info.max
_TOLERANCE: Final = 1e-9
"""USD. Sums of floats are not exact, and a budget of 0.3 must allow three calls of 0.1."""


class Budget:
    """Amount in USD that calls may spend together. Threads and coroutines may share it.

    ``client.budget(usd=…)`` creates one. ``spent + reserved`` never exceeds ``limit``, unless the server charges more
    for a call than the maximum that the call stated.
    """

    def __init__(self, usd: float) -> None:
        """Raise ConfigurationError if ``usd`` is not a positive number."""
        if isinstance(usd, bool) or not isinstance(usd, int | float) or not 0 < usd <= _LARGEST:
            raise ConfigurationError("usd must be a finite number greater than 0.", param="usd")
        self._limit = float(usd)
        self._spent = 0.0
        self._reserved = 0.0
        self._lock = threading.RLock()

    @property
    def limit(self) -> float:
        """USD that may be spent."""
        return self._limit

    @property
    def spent(self) -> float:
        """USD that ended calls have cost."""
        return self._spent

    @property
    def reserved(self) -> float:
        """USD that running calls, and ended calls of unknown cost, may cost at most."""
        return self._reserved

    @property
    def remaining(self) -> float:
        """USD left for further calls; never negative."""
        with self._lock:
            return self._remaining()

    def __repr__(self) -> str:
        with self._lock:
            return f"Budget(limit={self._limit:g}, spent={self._spent:.6g}, reserved={self._reserved:.6g})"

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        raise ConfigurationError(
            "A budget cannot be pickled or copied: two of them would spend the amount twice. "
            "Instead, open a budget of its own for each process."
        )

    def reserve(self, usd: float) -> Reservation:
        """Reserve the most that a call may cost. Raises CostExceededError, with ``estimated_cost``."""
        with self._lock:
            remaining = self._remaining()
            if usd <= remaining + _TOLERANCE:
                self._reserved += usd
                return Reservation(self, usd)
        raise CostExceededError(
            f"The call may cost ${usd:.4f}, but only ${remaining:.4f} of the budget of ${self._limit:.4f} is left; "
            "nothing was sent. Pass a smaller max_cost, or use a larger budget.",
            estimated_cost=usd,
            error_type="cost_exceeded_error",
        )

    def _remaining(self) -> float:
        return max(self._limit - self._spent - self._reserved, 0.0)

    def _settle(self, reserved: float, cost: float) -> None:
        with self._lock:
            self._reserved = max(self._reserved - reserved, 0.0)
            self._spent += cost


class Reservation:
    """Part of a budget that is set aside for one call until its cost is known."""

    def __init__(self, budget: Budget, usd: float) -> None:
        self.budget: Final = budget
        self._usd: float | None = usd
        self._cost = 0.0

    @property
    def counts(self) -> bool:
        """True if the call has a part of the budget: until its cost is known, or because it has cost something."""
        return self._usd is not None or self._cost > 0

    def settle(self, cost: float) -> None:
        """Replace the reservation by the cost of the call in USD; 0 if the call did not run. Later calls do nothing."""
        usd, self._usd = self._usd, None
        if usd is not None:
            self._cost = cost
            self.budget._settle(usd, cost)


class ActiveBudgets:
    """Budgets that the calls of a client currently count against."""

    def __init__(self, parent: ActiveBudgets | None = None) -> None:
        """Count calls against the budgets of ``parent`` too."""
        self._budgets: list[Budget] = []
        self._parent = parent
        self._lock = threading.RLock()

    @property
    def active(self) -> bool:
        """True if calls count against any budget."""
        return bool(self._budgets) or (self._parent is not None and self._parent.active)

    def open(self, budget: Budget) -> None:
        """Count calls against ``budget`` from now on."""
        with self._lock:
            self._budgets.append(budget)

    def close(self, budget: Budget) -> None:
        """Stop counting calls against ``budget``."""
        with self._lock:
            self._budgets.remove(budget)

    def reserve(self, usd: float, held: Collection[Reservation] = ()) -> list[Reservation]:
        """Reserve ``usd`` in every budget in which no reservation in ``held`` counts, or in none.

        Raises CostExceededError.
        """
        covered = [reservation.budget for reservation in held if reservation.counts]
        budgets = [budget for budget in self._all() if budget not in covered]
        reservations: list[Reservation] = []
        try:
            for budget in budgets:
                reservations.append(budget.reserve(usd))  # noqa: PERF401 (a failure must find those made so far)
        except CostExceededError:
            for reservation in reservations:
                reservation.settle(0.0)
            raise
        return reservations

    def _all(self) -> list[Budget]:
        with self._lock:
            own = list(self._budgets)
        return own if self._parent is None else [*self._parent._all(), *own]
