"""State that a client shares with the clients made from it by ``with_options``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import attrs

from .._policy.budget import ActiveBudgets
from .._policy.retry_quota import RetryQuota
from .._policy.server_contract import ServerContract
from .._policy.usage_meter import UsageMeter
from ..models import ModelInfo
from .cost import ReservedCost

if TYPE_CHECKING:
    from .._files.journal import Journal
    from .hooks import Hooks
    from .response_cache import ResponseCache


@attrs.define(kw_only=True, eq=False)
class ClientState:
    """Retry quota, budgets, usage, journal, cache, hooks, and what is known of the server.

    Mutable, and safe to use from several threads.
    """

    quota: RetryQuota = attrs.field(factory=RetryQuota)
    contract: ServerContract = attrs.field(factory=ServerContract)
    budgets: ActiveBudgets = attrs.field(factory=ActiveBudgets)
    usage: UsageMeter = attrs.field(factory=UsageMeter)
    hooks: Hooks | None = None
    journal: Journal | None = None
    cache: ResponseCache | None = None
    cache_scope: str | None = None
    """Server whose replies the cache may give to this client; None for that of the base URL."""
    models: list[ModelInfo] | None = None
    """Models with their prices, fetched once a budget needs them."""
    open_costs: dict[str, ReservedCost] = attrs.field(factory=dict)
    """Costs of the tasks in the journal that are not known yet, by idempotency key: ``recover()`` takes them over."""
    task_costs: dict[str, ReservedCost] = attrs.field(factory=dict)
    """Costs of tasks that are not known yet, by the task's ID: calls with that ID may learn them."""

    def settle_task(self, task_id: str, usd: float) -> None:
        """Settle the cost of a task, if anything is reserved for it."""
        cost = self.task_costs.pop(task_id, None)
        if cost is not None:
            cost.settle(usd)


def new_state(
    journal: str | os.PathLike[str] | None, hooks: Hooks | None = None, cache: ResponseCache | None = None
) -> ClientState:
    """Return the state of a new client, with the journal at this path, if any. Raises ConfigurationError."""
    state = ClientState(hooks=hooks)
    # Most programs need import neither.
    if cache is not None:
        from .response_cache import check_cache

        state.cache = check_cache(cache)
    if journal is not None:
        from .._files.journal import Journal

        state.journal = Journal(journal)
    return state
