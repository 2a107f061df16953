"""State that a client shares with the clients made from it by ``with_options``."""

from __future__ import annotations

import attrs

from .._files.journal import Journal
from .._policy.budget import ActiveBudgets
from .._policy.retry_quota import RetryQuota
from ..models import ModelInfo


@attrs.define(kw_only=True)
class ClientState:
    """Retry quota, budgets and journal. Mutable, and safe to use from several threads."""

    quota: RetryQuota = attrs.field(factory=RetryQuota)
    budgets: ActiveBudgets = attrs.field(factory=ActiveBudgets)
    journal: Journal | None = None
    models: list[ModelInfo] | None = None
    """Models with their prices, fetched once a budget needs them."""
