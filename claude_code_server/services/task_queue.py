"""Queue of tasks: which of them starts next, and how many may wait. No I/O."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Final

import attrs

from ..domain.errors import ApiError, overloaded

_RETRY_AFTER: Final = 5.0
"""Seconds."""


@attrs.frozen(kw_only=True)
class QueueLimits:
    """Limits of a queue."""

    max_running: int
    """Tasks that run at once."""
    max_queued: int
    """Tasks that wait, of all keys together."""
    max_queued_per_key: int


class TaskQueue:
    """Waiting tasks in order within each key and round robin between keys, and the number of running ones."""

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        self._waiting: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()
        """Task IDs by key; the key whose turn is next comes first. No key is without tasks."""
        self._queued = 0
        self._running: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return the number of waiting tasks."""
        return self._queued

    def queued(self, key: str) -> int:
        """Return the number of waiting tasks of a key."""
        return len(self._waiting.get(key, ()))

    def running(self, key: str | None = None) -> int:
        """Return the number of running tasks, of one key or of all."""
        return self._running.total() if key is None else self._running[key]

    def check_room(self, key: str) -> None:
        """Raise ApiError 503 if a new task of this key would have to wait and there is no room for it."""
        starts_at_once = not self.queued(key) and self._has_slot()
        if starts_at_once:
            return
        if self.queued(key) >= self._limits.max_queued_per_key:
            raise _full(f"{self.queued(key)} tasks of this key are waiting, the limit for one key.")
        if self._queued >= self._limits.max_queued:
            raise _full(f"{self._queued} tasks are waiting, the server's limit.")

    def add(self, task_id: str, key: str) -> None:
        """Add a task behind those of its key."""
        self._waiting.setdefault(key, OrderedDict())[task_id] = None
        self._queued += 1

    def remove(self, task_id: str, key: str) -> None:
        """Remove a waiting task."""
        tasks = self._waiting[key]
        del tasks[task_id]
        self._queued -= 1
        if not tasks:
            del self._waiting[key]

    def start_next(self) -> str | None:
        """Remove the task whose turn it is and count it as running; return None if none may start."""
        if not self._waiting or not self._has_slot():
            return None
        key = next(iter(self._waiting))
        task_id = next(iter(self._waiting[key]))
        self._waiting.move_to_end(key)
        self.remove(task_id, key)
        self._running[key] += 1
        return task_id

    def end(self, key: str) -> None:
        """Count a running task of this key as ended."""
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]

    def _has_slot(self) -> bool:
        return self._running.total() < self._limits.max_running


def _full(reason: str) -> ApiError:
    return overloaded(f"{reason} Nothing was started: try again when some of them have run.", _RETRY_AFTER)
