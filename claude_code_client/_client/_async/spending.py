"""Members of the client about what its calls cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..._policy.budget import Budget
from ..._policy.usage_meter import UsageTotals
from .base import AsyncBase


class AsyncSpending(AsyncBase):
    """Usage of the calls of this client, and budgets that limit it."""

    @property
    def usage(self) -> UsageTotals:
        """Calls, tokens and cost so far, of this client, its copies and the clients made by ``with_options()``.

        Completions, streams, batches and tasks count once, when their usage is known. A task that was detached before
        its end does not count, nor do results that a batch reads from its file.
        """
        return self._connection.state.usage.totals

    @contextmanager
    def budget(self, usd: float) -> Iterator[Budget]:
        """Open a budget that limits what all calls of this client, from any thread, spend inside the ``with``.

        Each call reserves its largest possible cost before it is sent: a task its ``max_cost`` (default 1.0 USD), a
        completion the price of its longest reply. If the budget cannot cover a call, the call raises
        ``CostExceededError`` with ``estimated_cost``, and nothing is sent. If the cost of a call stays unknown, its
        reservation stays.

        Args:
            usd: Largest amount to spend, in USD.

        Raises:
            ConfigurationError: ``usd`` is not a positive number.
        """
        budget = Budget(usd)
        self._connection.state.budgets.open(budget)
        try:
            yield budget
        finally:
            self._connection.state.budgets.close(budget)
