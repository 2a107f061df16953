"""Cost of one call: reserved in the budgets beforehand, settled once it is known. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from .._policy.budget import Reservation
from ..errors import APIConnectionError, ClaudeAPIError, ClosedError


@attrs.frozen(eq=False)
class ReservedCost:
    """Reservations of one call in every active budget. A cost that never becomes known stays reserved."""

    reservations: Sequence[Reservation] = ()

    def settle(self, usd: float) -> None:
        """Replace the reservations by the actual cost. Only the first call counts."""
        for reservation in self.reservations:
            reservation.settle(usd)

    def release(self) -> None:
        """Settle at no cost: the server has not run the call."""
        self.settle(0.0)

    def release_if_refused(self, error: ClaudeAPIError) -> None:
        """Release the reservations if the error says that the server has not run the call.

        An unreadable or interrupted response, and an ``error`` event in a stream, belong to a call that has cost money.
        """
        refused = isinstance(error, APIConnectionError | ClosedError) or (error.status_code or 0) >= 400
        if refused and not error.outcome_unknown:
            self.release()
