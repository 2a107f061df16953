"""Admission: rate of requests, tasks at once and budgets of the caller's key, checked before anything runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from ..domain.api_key import Caller
from ..domain.errors import ApiError
from ..domain.rate_window import RateWindow
from .key_accounts import KeyAccounts, budget_exceeded
from .task_runner import TaskRunner

_FOLLOW_UPS: Final = frozenset({"get_task", "stream_task_events", "cancel_task", "download_artifact"})
"""Operations that do not count: nobody should be unable to stop, or to receive, what has been started."""
_TASK_RETRY: Final = 5.0
"""Seconds after which a task may have ended."""


class Admission:
    """Limits of keys on how much they may do at a time."""

    def __init__(
        self, task_runner: TaskRunner, accounts: KeyAccounts, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._task_runner = task_runner
        self._accounts = accounts
        self._clock = clock
        self._windows: dict[str, RateWindow] = {}

    def admit_request(self, caller: Caller, operation_id: str) -> Callable[[], Mapping[str, str]] | None:
        """Count a request; return a function that says how many are left, as headers, or None without a limit.

        Raise ApiError 429 for one too many.
        """
        limit = caller.permissions.requests_per_minute
        if limit is None:
            return None
        now = self._clock()
        window = self._windows.get(caller.owner)
        if window is None or window.limit != limit:
            window = self._windows[caller.owner] = RateWindow(limit, now)
        if operation_id not in _FOLLOW_UPS and not window.take(now):
            message = f"This key may make {limit} requests a minute."
            headers = self._headers(window)
            raise ApiError(429, "rate_limit_error", message, retry_after=window.seconds_left(now), headers=headers)
        return lambda: self._headers(window)

    def admit_task(self, caller: Caller, *, free: bool) -> None:
        """Raise ApiError 429 if the caller has as many tasks as it may have, or nothing left to pay for this one.

        ``free`` says that the task costs nothing.
        """
        most = caller.permissions.tasks_at_once
        if most is not None and self._task_runner.count_tasks_of(caller.owner) >= most:
            message = f"This key may have {most} task{'s' if most > 1 else ''} pending or running at once."
            raise ApiError(429, "rate_limit_error", message, retry_after=_TASK_RETRY)
        account = self._accounts.of(caller.owner)
        if not free and account.left <= 0 and account.reserved <= 0:
            raise budget_exceeded(account, "no task can start")

    def _headers(self, window: RateWindow) -> Mapping[str, str]:
        now = self._clock()
        return {
            "X-RateLimit-Limit": str(window.limit),
            "X-RateLimit-Remaining": str(window.remaining(now)),
            "X-RateLimit-Reset": str(window.seconds_left(now)),
        }
