"""Progress of running tasks: events and usage, stored before anybody hears of them, within limits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from ..domain.audit import count_use
from ..domain.engine_protocol import EventSink, EventType
from ..domain.entities import RUNNING, TaskEvent
from ..domain.json_values import express
from ..domain.key_account import KeyAccount, WorkBudget
from ..domain.timestamps import now
from ..domain.usage import Usage
from ..runtime.error_logging import log_exception
from ..storage.store import Store
from .active_task import ActiveTask
from .task_ends import INEXACT, with_warnings

_log = logging.getLogger(__name__)
_MAX_AT_ONCE: Final = 100
"""Events of one transaction."""


@attrs.frozen(kw_only=True)
class EventLimits:
    """Limits on the events of one task. A task that exceeds them is stopped, and ends as failed."""

    max_events: int = 100_000
    max_bytes: int = 100_000_000
    """Size of all events together, as JSON. The events that come at once with the last one are stored too."""


class TaskProgress:
    """Storage of what running tasks report."""

    def __init__(self, store: Store, limits: EventLimits, account_of: Callable[[str], KeyAccount]) -> None:
        """Create the storage. ``account_of`` returns the account of a key."""
        self._store = store
        self.account_of = account_of
        self._limits = limits

    def sink(self, active: ActiveTask) -> EventSink:
        """Return the receiver of the events of one run."""
        return _StoringEventSink(self, active)

    def start(self, active: ActiveTask) -> None:
        """Store that a task is running."""
        self._try(active, lambda: self._store.start_task(active.id))
        active.task = attrs.evolve(active.task, status=RUNNING)

    def publish(self, active: ActiveTask, type: str, fields: Mapping[str, Any]) -> None:
        """Store an event, together with those that come at once with it, and then notify followers."""
        if active.ended.is_set() or active.exceeded is not None:
            return
        seq = active.seq + len(active.emitted) + 1
        if seq > self._limits.max_events:
            self._stop(active, f"{self._limits.max_events} events")
            return
        count_use(active.used, type, fields, active.known_names)
        expressed = express(fields)
        if not expressed.exact:
            active.task = with_warnings(active.task, (INEXACT.format(f"event {seq} ({type})"),))
        active.emitted.append(TaskEvent(seq, type, now(), expressed.value))
        if len(active.emitted) == 1:
            asyncio.get_running_loop().call_soon(self.store_events, active)
        elif len(active.emitted) == _MAX_AT_ONCE:
            self.store_events(active)

    def store_events(self, active: ActiveTask) -> None:
        """Store the events that were emitted, and notify followers."""
        events, active.emitted = active.emitted, []

        def add() -> None:
            active.event_characters += self._store.add_events(active.id, events)

        if events and self._try(active, add):
            active.seq += len(events)
            active.changed.notify()
            if active.event_characters > self._limits.max_bytes:
                self._stop(active, f"{self._limits.max_bytes / 1e6:g} MB of events")

    def update_usage(self, active: ActiveTask, usage: Usage, reserved: float) -> None:
        """Store the usage of a running task, and what it has reserved."""
        if not active.ended.is_set():
            active.task = attrs.evolve(active.task, usage=usage)
            self.account_of(active.owner).hold(active.id, usage.cost, reserved)
            self._try(active, lambda: self._store.set_usage(active.id, usage, reserved))

    def _stop(self, active: ActiveTask, limit: str) -> None:
        """Stop a task that has exceeded a limit on its events."""
        if active.exceeded is None:
            active.exceeded = (
                f"The task has produced more than {limit}, the most that this server keeps of one task, and was"
                " stopped. Split it into smaller tasks, or have the limit raised."
            )
            active.cancellation.cancel("failed")

    def _try(self, active: ActiveTask, store: Callable[[], object]) -> bool:
        """Store part of a task; return whether it is stored. After a failure, cancel the task and store no more."""
        if active.storage_failed:
            return False
        try:
            store()
        except Exception as error:
            log_exception(_log, f"storing part of task {active.id}", error)
            active.storage_failed = True
            active.cancellation.cancel("failed")
            return False
        return True


@attrs.frozen
class _StoringEventSink:
    """Event sink of one run."""

    progress: TaskProgress
    active: ActiveTask

    def emit(self, type: EventType, *, content: str, **fields: Any) -> None:
        self.progress.publish(self.active, type, {"content": content, **fields})

    def report_usage(self, usage: Usage, reserved: float = 0.0) -> None:
        self.progress.update_usage(self.active, usage, reserved)

    @property
    def budget(self) -> WorkBudget:
        return WorkBudget(self.progress.account_of(self.active.owner), self.active.id)
