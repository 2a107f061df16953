"""Accounts of the keys that have budgets, opened from the store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final

from ..domain.errors import ApiError
from ..domain.key_account import NO_BUDGET, KeyAccount, utc_now
from ..domain.permissions import Permissions
from ..domain.timestamps import format_time
from ..domain.usage import Usage
from ..storage.key_table import KeyTable

_BUSY_RETRY: Final = 2.0
"""Seconds after which calls in progress may have left money."""


class KeyAccounts:
    """Accounts by the identity of their keys. All work of a key with a budget is held and settled here."""

    def __init__(
        self, table: KeyTable, permissions: Callable[[str], Permissions], clock: Callable[[], datetime] = utc_now
    ) -> None:
        """Open no account yet. ``permissions`` returns those of a key by its identity."""
        self._table = table
        self._permissions = permissions
        self._clock = clock
        self._accounts: dict[str, KeyAccount] = {}

    def of(self, owner: str) -> KeyAccount:
        """Return the account of a key: for a key without a budget one that nothing limits."""
        account = self._accounts.get(owner)
        if account is None:
            permissions = self._permissions(owner)
            if not permissions.has_budget:
                return NO_BUDGET.account
            account = KeyAccount(permissions, partial(self._spent_since, owner), self._clock)
            self._accounts[owner] = account
        return account

    @staticmethod
    def check_completion(account: KeyAccount, need: Usage) -> None:
        """Raise ApiError 429 if a key's account does not pay for a completion beside the calls in progress."""
        if not account.limited or need.cost <= max(0.0, account.left):
            return
        if need.cost <= account.left + account.reserved:
            message = f"Calls in progress hold what is left of this key's {account.describe()}."
            raise ApiError(429, "rate_limit_error", message, retry_after=_BUSY_RETRY)
        raise budget_exceeded(account, f"this completion may cost ${need.cost:.2g}, less with fewer max_tokens", need)

    def _spent_since(self, owner: str, start: datetime) -> float:
        return self._table.spent(owner, format_time(start))


def budget_exceeded(account: KeyAccount, reason: str, need: Usage | None = None) -> ApiError:
    """Return a 429 for work that the budget of its key does not pay for; it tells when the budget starts anew."""
    message = f"${max(0.0, account.left):.4f} is left of this key's {account.describe()}: {reason}."
    cost = None if need is None else need.cost
    return ApiError(429, "cost_exceeded_error", message, estimated_cost=cost, retry_after=account.seconds_left())
