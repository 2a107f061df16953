"""A spend budgets: what calls may cost at most is reserved before they are sent, and settled when it is known."""

from __future__ import annotations

import math
import threading
from typing import Final

from ..errors import ConfigurationError, CostExceededError

__all__ = ["Budget"]

_EPSILON: Final = 1e-9
"""USD; sums of floats are not exact, and a budget of 0.3 is to hold three calls of 0.1."""


class Budget:
    """USD that calls may spend together. Safe to use from several threads and coroutines.

    Made by ``client.budget(usd=…)``. ``spent + reserved`` is never more than ``limit``, unless the server charges a
    call more than the maximum that it was given.
    """

    def __init__(self, usd: float) -> None:
        """Raises ConfigurationError if ``usd`` is not a positive number."""
        if isinstance(usd, bool) or not isinstance(usd, int | float) or not math.isfinite(usd) or usd <= 0:
            raise ConfigurationError(f"usd must be a number of more than 0 USD, not {usd!r}.", param="usd")
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
        """USD that calls have cost."""
        return self._spent

    @property
    def reserved(self) -> float:
        """USD that running calls, and calls of which no cost is known, may cost at most."""
        return self._reserved

    @property
    def remaining(self) -> float:
        """USD that further calls may reserve; never below 0."""
        with self._lock:
            return self._remaining()

    def __repr__(self) -> str:
        with self._lock:
            return f"Budget(limit={self._limit:g}, spent={self._spent:.6g}, reserved={self._reserved:.6g})"

    def reserve(self, usd: float) -> Reservation:
        """Set aside what a call may cost at most. Raises CostExceededError, with ``estimated_cost``."""
        with self._lock:
            remaining = self._remaining()
            if usd <= remaining + _EPSILON:
                self._reserved += usd
                return Reservation(self, usd)
        raise CostExceededError(
            f"The call may cost ${usd:.4f}, and the budget of ${self._limit:.4f} has ${remaining:.4f} left; "
            "nothing was sent. Give it a smaller max_cost, or the budget more.",
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
    """What one call may cost at most, until its cost is known."""

    def __init__(self, budget: Budget, usd: float) -> None:
        self._budget = budget
        self._usd: float | None = usd

    def settle(self, cost: float) -> None:
        """The call has cost this many USD; 0 for one that did not run. Only the first time counts."""
        usd, self._usd = self._usd, None
        if usd is not None:
            self._budget._settle(usd, cost)


class ActiveBudgets:
    """The budgets that a client's calls count against at the moment."""

    def __init__(self) -> None:
        self._budgets: list[Budget] = []
        self._lock = threading.RLock()

    @property
    def active(self) -> bool:
        """Whether calls count against any budget."""
        return bool(self._budgets)

    def open(self, budget: Budget) -> None:
        with self._lock:
            self._budgets.append(budget)

    def close(self, budget: Budget) -> None:
        with self._lock:
            self._budgets.remove(budget)

    def reserve(self, usd: float) -> list[Reservation]:
        """Reserve in every budget, or in none. Raises CostExceededError."""
        with self._lock:
            budgets = list(self._budgets)
        reservations: list[Reservation] = []
        try:
            for budget in budgets:
                reservations.append(budget.reserve(usd))  # noqa: PERF401 (what was reserved must be known on failure)
        except CostExceededError:
            for reservation in reservations:
                reservation.settle(0.0)
            raise
        return reservations
