"""What a client and those made from it by ``with_options`` have in common, besides their connections."""

from __future__ import annotations

import attrs

from ._journal import Journal
from ._quota import RetryQuota
from .budget import Ledger
from .models import ModelInfo


@attrs.define(kw_only=True)
class Shared:
    """Mutable, and safe to use from several threads."""

    quota: RetryQuota = attrs.field(factory=RetryQuota)
    ledger: Ledger = attrs.field(factory=Ledger)
    journal: Journal | None = None
    models: list[ModelInfo] | None = None
    """What ``list_models`` said, once a budget had to know prices."""
