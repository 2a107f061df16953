"""What a client and those made from it by ``with_options`` have in common, besides their connections."""

from __future__ import annotations

import attrs

from .._files.journal import Journal
from .._policy.budget import ActiveBudgets
from .._policy.retry_quota import RetryQuota
from ..models import ModelInfo


@attrs.define(kw_only=True)
class ClientState:
    """Mutable, and safe to use from several threads."""

    quota: RetryQuota = attrs.field(factory=RetryQuota)
    budgets: ActiveBudgets = attrs.field(factory=ActiveBudgets)
    journal: Journal | None = None
    models: list[ModelInfo] | None = None
    """What ``list_models`` said, once a budget had to know prices."""
