"""Connections of one server: their limits, and the followers of tasks among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final

from ..domain.errors import overloaded
from ..domain.settings import Settings
from ..runtime.connection_limits import ConnectionLimits

_DESCRIPTOR_SHARE: Final = 0.5
_FOLLOWER_SHARE: Final = 0.75
"""Share of the connections that followers may use: requests need the others."""
_RETRY_AFTER: Final = 5.0
"""Seconds."""


def connection_limits(settings: Settings) -> ConnectionLimits:
    """Return the limits on connections in ``settings``."""
    return ConnectionLimits(
        head_timeout=settings.head_timeout,
        body_timeout=settings.body_timeout,
        max_head_bytes=settings.max_head_bytes,
        max_connections=settings.max_connections,
        descriptor_share=_DESCRIPTOR_SHARE,
    )


class Followers:
    """Open event streams, by task."""

    def __init__(self, settings: Settings) -> None:
        connections = connection_limits(settings).connection_limit()
        self._most = max(1, min(settings.max_followers, int(connections * _FOLLOWER_SHARE)))
        self._most_per_task = settings.max_followers_per_task
        self._by_task: Counter[str] = Counter()

    def add(self, task_id: str) -> Callable[[], None]:
        """Count a follower of a task, and return a function that ends this. Raise ApiError 503 beyond the limits."""
        if self._by_task[task_id] >= self._most_per_task:
            message = f"{self._most_per_task} event streams of this task are open, the limit. Close one of them first."
            raise overloaded(message, _RETRY_AFTER)
        if self._by_task.total() >= self._most:
            message = f"{self._most} event streams are open, the server's limit. Poll the task with get_task instead."
            raise overloaded(message, _RETRY_AFTER)
        self._by_task[task_id] += 1
        return partial(self._remove, task_id)

    def _remove(self, task_id: str) -> None:
        self._by_task[task_id] -= 1
        if not self._by_task[task_id]:
            del self._by_task[task_id]
