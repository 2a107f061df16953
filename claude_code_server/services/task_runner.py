"""Task runner: starts, cancels and stores tasks, and notifies those who wait for them."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from ..domain.engine_protocol import CancelToken, Engine, EventType, Outcome, TaskSpec
from ..domain.entities import ERROR, RESULT, RUNNING, Artifact, Task, TaskError, TaskEvent
from ..domain.errors import shutting_down, storage_unavailable
from ..domain.idempotency import IdempotencyKey
from ..domain.json_values import express
from ..domain.key_account import NO_BUDGET, KeyAccount, WorkBudget
from ..domain.timestamps import now
from ..domain.usage import Usage
from ..runtime.broadcast import Broadcast, wait_for_event
from ..runtime.error_logging import log_exception
from ..storage.store import Store

_log = logging.getLogger(__name__)
_ABORT_TIMEOUT: Final = 1.0
"""Seconds to wait for the cleanup of a run that was aborted."""
_FAILED: Final = ("server_error", "The task failed.")
_DEFAULT_ERRORS: Final = {
    "cancelled": ("cancelled_error", "The task was cancelled."),
    "timeout": ("timeout_error", "The task exceeded its timeout."),
    "cost_exceeded": ("cost_exceeded_error", "The task has used up its max_cost."),
    "failed": _FAILED,
}
_LIMIT_STATUSES: Final = ("timeout", "cost_exceeded")
_SERVER_FAILED: Final = Outcome("failed", error=("server_error", "The server failed while it ran the task."))
_INTERRUPTED: Final = Outcome("failed", error=("server_error", "The server stopped before the task ended."))
_NOT_STORED: Final = Outcome("failed", error=("server_error", "The server could not store the task's progress."))


_INEXACT: Final = "JSON cannot express {} exactly: some values are given as text."
_MAX_WARNINGS: Final = 50
_MAX_AT_ONCE: Final = 100
"""Events of one transaction."""


@attrs.define(eq=False)
class _ActiveTask:
    """A task that is pending or running."""

    task: Task
    spec: TaskSpec
    cancellation: CancelToken = attrs.field(factory=CancelToken)
    seq: int = 0
    """Sequence number of the last stored event."""
    emitted: list[TaskEvent] = attrs.field(factory=list)
    """Events that are still to be stored, together."""
    storage_failed: bool = False
    """True if part of the task could not be stored; the task can then only end as failed."""
    changed: Broadcast = attrs.field(factory=Broadcast)
    """Notifies of every event."""
    ended: asyncio.Event = attrs.field(factory=asyncio.Event)
    run: asyncio.Task[None] | None = None


class TaskRunner:
    """Runs up to ``max_concurrency`` tasks at once; further tasks stay pending, and their timeouts have not started.

    Every event is stored before anybody receives it. The last event of a task is its only terminal event.
    ``cancel_grace`` is the time in seconds that a cancelled run has to end by itself.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        *,
        max_concurrency: int,
        cancel_grace: float,
        account_of: Callable[[str], KeyAccount] = lambda _: NO_BUDGET.account,
    ) -> None:
        """``account_of`` returns the account of a key."""
        self._engine = engine
        self._store = store
        self._account_of = account_of
        self._max_concurrency = max_concurrency
        self._cancel_grace = cancel_grace
        self._active: dict[str, _ActiveTask] = {}
        self._pending: deque[_ActiveTask] = deque()
        self._closed = False

    def recover(self) -> None:
        """End the tasks that a crashed server left unfinished in the store."""
        for task in self._store.unfinished_tasks():
            self._store_end(task, _INTERRUPTED, self._store.last_seq(task.id) + 1, ERROR)

    def submit(self, task: Task, spec: TaskSpec, key: IdempotencyKey | None = None) -> None:
        """Store a new task and run it as soon as a slot is free. Raise ApiError 503 if it cannot be stored now."""
        if self._closed:
            raise shutting_down()
        try:
            self._store.add_task(task, key)
        except Exception as error:
            log_exception(_log, f"storing the new task {task.id}", error)
            raise storage_unavailable() from None
        active = self._active[task.id] = _ActiveTask(task, spec)
        self._pending.append(active)
        self._start_pending()

    def cancel(self, task_id: str) -> None:
        """Cancel a task; do nothing if it has ended."""
        active = self._active.get(task_id)
        if active is not None:
            self._cancel(active)

    def count_tasks_of(self, key_hash: str) -> int:
        """Return the number of tasks of a key that are pending or running."""
        return sum(active.task.key_hash == key_hash for active in self._active.values())

    def cancel_all_of(self, key_hash: str) -> None:
        """Cancel all tasks of a key."""
        for active in list(self._active.values()):
            if active.task.key_hash == key_hash:
                self._cancel(active)

    async def wait(self, task_id: str, timeout: float | None = None) -> bool:
        """Wait until a task has ended; return False after ``timeout`` seconds."""
        active = self._active.get(task_id)
        return active is None or await wait_for_event(active.ended, timeout)

    def is_active(self, task_id: str) -> bool:
        """Return whether a task is pending or running, so that more events will follow."""
        return task_id in self._active

    async def wait_for_event(self, task_id: str, after: int, timeout: float) -> bool:
        """Wait for an event with a sequence number above ``after``, or for the end; return False after ``timeout``."""
        active = self._active.get(task_id)
        return active is None or active.seq > after or await active.changed.wait(timeout)

    async def aclose(self, grace: float) -> None:
        """Cancel all tasks, and abort those that take more than ``grace`` seconds to end."""
        self._closed = True
        for active in list(self._active.values()):
            self._cancel(active)
        runs = [active.run for active in self._active.values() if active.run is not None]
        if runs:
            _, late = await asyncio.wait(runs, timeout=grace)
            for run in late:
                run.cancel()
            if late:
                await asyncio.wait(late, timeout=_ABORT_TIMEOUT)
        for active in list(self._active.values()):
            self._end(active, Outcome("cancelled"), RESULT)

    # ---- private

    def _start_pending(self) -> None:
        running = sum(active.run is not None for active in self._active.values())
        while self._pending and running < self._max_concurrency:
            active = self._pending.popleft()
            active.run = asyncio.create_task(self._run(active), name=active.task.id)
            running += 1

    def _cancel(self, active: _ActiveTask) -> None:
        active.cancellation.cancel("cancelled")
        if active.run is None:
            self._pending.remove(active)
            self._end(active, Outcome("cancelled"), RESULT)

    async def _run(self, active: _ActiveTask) -> None:
        timer = asyncio.get_running_loop().call_later(active.spec.timeout, active.cancellation.cancel, "timeout")
        try:
            self._try_store(active, self._store.start_task)
            active.task = attrs.evolve(active.task, status=RUNNING)
            outcome = await self._run_engine(active)
            event_type = ERROR if outcome.status in _LIMIT_STATUSES else RESULT
        except Exception as error:
            log_exception(_log, f"task {active.task.id}", error)
            outcome, event_type = _SERVER_FAILED, ERROR
        finally:
            timer.cancel()
        self._end(active, outcome, event_type)

    async def _run_engine(self, active: _ActiveTask) -> Outcome:
        if active.storage_failed:
            return _NOT_STORED
        running = asyncio.ensure_future(
            self._engine.run(active.spec, _StoringEventSink(self, active), active.cancellation)
        )
        cancelling = asyncio.ensure_future(active.cancellation.wait())
        try:
            await asyncio.wait({running, cancelling}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await asyncio.wait({running}, timeout=self._cancel_grace)
        finally:
            cancelling.cancel()
            if not running.done():
                running.cancel()
                await asyncio.wait({running}, timeout=_ABORT_TIMEOUT)
        if running.done() and not running.cancelled():
            return running.result()
        return Outcome(active.cancellation.reason or "failed")

    def publish(self, active: _ActiveTask, type: str, fields: Mapping[str, Any]) -> None:
        """Store an event, together with those that come at once with it, and then notify followers."""
        if active.ended.is_set():
            return
        expressed = express(fields)
        seq = active.seq + len(active.emitted) + 1
        if not expressed.exact:
            active.task = _with_warnings(active.task, (_INEXACT.format(f"event {seq} ({type})"),))
        active.emitted.append(TaskEvent(seq, type, now(), expressed.value))
        if len(active.emitted) == 1:
            asyncio.get_running_loop().call_soon(self._store_events, active)
        elif len(active.emitted) == _MAX_AT_ONCE:
            self._store_events(active)

    def _store_events(self, active: _ActiveTask) -> None:
        """Store the events that were emitted, and notify followers."""
        events, active.emitted = active.emitted, []
        if events and self._try_store(active, self._store.add_events, events):
            active.seq += len(events)
            active.changed.notify()

    def update_usage(self, active: _ActiveTask, usage: Usage, reserved: float) -> None:
        """Store the usage of a running task, and what it has reserved."""
        if not active.ended.is_set():
            active.task = attrs.evolve(active.task, usage=usage)
            self._account_of(active.task.key_hash).hold(active.task.id, usage.cost, reserved)
            self._try_store(active, self._store.set_usage, usage, reserved)

    def budget(self, active: _ActiveTask) -> WorkBudget:
        """Return what a task may take from the account of its key."""
        return WorkBudget(self._account_of(active.task.key_hash), active.task.id)

    def _try_store(self, active: _ActiveTask, store: Callable[..., None], *values: Any) -> bool:
        """Store part of a task; return whether it is stored. After a failure, cancel the task and store no more."""
        if active.storage_failed:
            return False
        try:
            store(active.task.id, *values)
        except Exception as error:
            log_exception(_log, f"storing part of task {active.task.id}", error)
            active.storage_failed = True
            active.cancellation.cancel("failed")
            return False
        return True

    def _end(self, active: _ActiveTask, outcome: Outcome, event_type: str) -> None:
        if self._active.pop(active.task.id, None) is None:
            return
        self._store_events(active)
        if active.storage_failed:
            outcome, event_type = attrs.evolve(_NOT_STORED, usage=outcome.usage), ERROR
        account = self._account_of(active.task.key_hash)
        active.task = self._store_end(active.task, outcome, active.seq + 1, event_type)
        account.settle(active.task.id, active.task.usage.cost)
        active.seq += 1
        active.ended.set()
        active.changed.notify()
        if not self._closed:
            self._start_pending()

    def _store_end(self, task: Task, outcome: Outcome, seq: int, event_type: str) -> Task:
        """Store the end of a task and return the ended task: as failed if its real end cannot be stored."""
        ended, event = _ended_task(task, outcome, seq, event_type)
        try:
            self._store.end_task(ended, event)
        except Exception as error:
            log_exception(_log, f"storing the end of task {task.id}", error)
            # The next server would find the task unfinished and end it as failed, so clients must see the same now.
            ended, event = _ended_task(task, attrs.evolve(_NOT_STORED, usage=outcome.usage), seq, ERROR)
            self._store.defer_end(ended, event)
        return ended


@attrs.frozen
class _StoringEventSink:
    """Event sink of one run."""

    runner: TaskRunner
    active: _ActiveTask

    def emit(self, type: EventType, *, content: str, **fields: Any) -> None:
        self.runner.publish(self.active, type, {"content": content, **fields})

    def report_usage(self, usage: Usage, reserved: float = 0.0) -> None:
        self.runner.update_usage(self.active, usage, reserved)

    @property
    def budget(self) -> WorkBudget:
        return self.runner.budget(self.active)


def _ended_task(task: Task, outcome: Outcome, seq: int, event_type: str) -> tuple[Task, TaskEvent]:
    """Return the ended task and its terminal event."""
    at = now()
    usage = task.usage if outcome.usage == Usage() else outcome.usage
    result = express(outcome.result)
    inexact = () if result.exact else (_INEXACT.format("the result"),)
    ended = attrs.evolve(
        _with_warnings(task, (*outcome.warnings, *inexact)),
        status=outcome.status,
        completed_at=at,
        summary=outcome.summary,
        result=result.value,
        artifacts=tuple(Artifact(f"art_{uuid.uuid4().hex}", file) for file in outcome.artifacts),
        usage=usage,
        error=_task_error(outcome, usage),
    )
    return ended, TaskEvent(seq, event_type, at)


def _with_warnings(task: Task, warnings: tuple[str, ...]) -> Task:
    return attrs.evolve(task, warnings=(*task.warnings, *warnings)[:_MAX_WARNINGS])


def _task_error(outcome: Outcome, usage: Usage) -> TaskError | None:
    if outcome.status == "completed":
        return None
    # A status that this version does not know counts as failed.
    default = _DEFAULT_ERRORS.get(outcome.status, _FAILED)
    type_, message = outcome.error or default
    if default is not _FAILED:
        type_ = default[0]
    return TaskError(type_, message, usage.cost if outcome.status == "cost_exceeded" else None)
