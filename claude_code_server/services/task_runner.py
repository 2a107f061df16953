"""Task runner: queues, starts, cancels and stores tasks, and notifies those who wait for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from ..domain.audit import Grants, key_id
from ..domain.engine_protocol import Engine, Outcome, TaskSpec
from ..domain.entities import ERROR, PENDING, RESULT, Task
from ..domain.errors import ApiError, shutting_down, storage_unavailable
from ..domain.idempotency import IdempotencyKey
from ..domain.key_account import NO_BUDGET, KeyAccount
from ..runtime.broadcast import wait_for_event
from ..runtime.error_logging import log_exception
from ..runtime.json_logging import log_event, log_id, set_log_ids
from ..storage.queued_specs import decode_spec, encode_spec
from ..storage.store import Store
from .active_task import ActiveTask
from .metrics import Metrics
from .task_ends import INTERRUPTED, LIMIT_STATUSES, NOT_STORED, SERVER_FAILED, TOO_LARGE, ended_task
from .task_progress import EventLimits, TaskProgress
from .task_queue import TaskQueue

_log = logging.getLogger(__name__)
_ABORT_TIMEOUT: Final = 1.0
"""Seconds to wait for the cleanup of a run that was aborted."""


def _accept(task: Task, spec: TaskSpec) -> None:
    pass


class TaskRunner:
    """Runs the tasks that ``queue`` lets start; the others stay pending, and their timeouts have not started.

    Every event is stored before anybody receives it. The last event of a task is its only terminal event. Pending tasks
    are in the store with all that they need to run, also after a restart.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store,
        queue: TaskQueue,
        *,
        cancel_grace: float,
        limits: EventLimits | None = None,
        metrics: Metrics | None = None,
        check: Callable[[Task, TaskSpec], None] = _accept,
        account_of: Callable[[str], KeyAccount] = lambda _: NO_BUDGET.account,
    ) -> None:
        """Create a runner.

        ``cancel_grace`` is the time in seconds that a cancelled run has to end by itself. ``check`` raises ApiError for
        a task that has waited, and that the server would not accept now. ``account_of`` returns the account of a key.
        """
        self._engine = engine
        self._store = store
        self._queue = queue
        self._progress = TaskProgress(store, limits or EventLimits(), account_of)
        self._cancel_grace = cancel_grace
        self._check = check
        self._active: dict[str, ActiveTask] = {}
        self._metrics = metrics or Metrics()
        self._closed = False

    def recover(self) -> None:
        """Queue the pending tasks that another server left in the store, and end those that it was running."""
        for task in self._store.unfinished_tasks():
            if task.status == PENDING and self._store.has_spec(task.id):
                self._add(ActiveTask(task, None))
            else:
                self._store_end(task, INTERRUPTED, self._store.last_seq(task.id) + 1, ERROR, {})
        self._start_pending()

    def submit(self, task: Task, spec: TaskSpec, key: IdempotencyKey | None = None) -> None:
        """Store a new task and run it when its turn comes.

        Raise ApiError 503, before anything is stored, if the queue is full or the task cannot be stored now.
        """
        if self._closed:
            raise shutting_down()
        self._queue.check_room(task.owner)
        try:
            grants = Grants(spec.tools, spec.agents, spec.skills)
            self._store.add_task(task, key, grants, log_id("request_id"), encode_spec(spec))
        except Exception as error:
            log_exception(_log, f"storing the new task {task.id}", error)
            raise storage_unavailable() from None
        log_event(_log, "task submitted", task_id=task.id, model=task.model, **attrs.asdict(grants))
        active = ActiveTask(attrs.evolve(task, description=""), spec)
        self._add(active)
        self._start_pending()
        if active.run is None:
            active.spec = None

    def cancel(self, task_id: str) -> None:
        """Cancel a task; do nothing if it has ended."""
        active = self._active.get(task_id)
        if active is not None:
            self._cancel(active)

    def cancel_all_of(self, owner: str) -> None:
        """Cancel all tasks of a key."""
        for active in list(self._active.values()):
            if active.owner == owner:
                self._cancel(active)

    def count_tasks_of(self, owner: str) -> int:
        """Return the number of tasks of a key that are pending or running."""
        return sum(active.owner == owner for active in self._active.values())

    async def wait(self, task_id: str, timeout: float | None = None) -> bool:
        """Wait until a task has ended; return False after ``timeout`` seconds."""
        active = self._active.get(task_id)
        return active is None or await wait_for_event(active.ended, timeout)

    def count_active(self) -> tuple[int, int]:
        """Return the number of pending and of running tasks."""
        return len(self._queue), self._queue.running()

    def is_active(self, task_id: str) -> bool:
        """Return whether a task is pending or running here, so that more events will follow."""
        active = self._active.get(task_id)
        return active is not None and not active.ended.is_set()

    async def wait_for_event(self, task_id: str, after: int, timeout: float) -> bool:
        """Wait for an event with a sequence number above ``after``, or for the end; return False after ``timeout``."""
        active = self._active.get(task_id)
        if active is None or active.ended.is_set() or active.seq > after:
            return True
        return await active.changed.wait(timeout)

    async def aclose(self, grace: float, *, keep_queued: bool = False) -> None:
        """Cancel all tasks, and abort those that take more than ``grace`` seconds to end.

        With ``keep_queued``, pending tasks stay in the store for the next server, and nobody waits for them any more.
        """
        self._closed = True
        for active in list(self._active.values()):
            if active.run is None and keep_queued:
                active.ended.set()
                active.changed.notify()
            else:
                self._cancel(active)
        runs = [active.run for active in self._active.values() if active.run is not None]
        if runs:
            _, late = await asyncio.wait(runs, timeout=grace)
            for run in late:
                run.cancel()
            if late:
                await asyncio.wait(late, timeout=_ABORT_TIMEOUT)
        for active in list(self._active.values()):
            if active.run is not None:
                self._end(active, Outcome("cancelled"), RESULT)

    # ---- private

    def _start_pending(self) -> None:
        """Start the tasks whose turn it is, as far as there are slots for them."""
        while not self._closed and (task_id := self._queue.start_next()) is not None:
            active = self._active[task_id]
            active.run = asyncio.create_task(self._run(active), name=task_id)

    def _add(self, active: ActiveTask) -> None:
        self._active[active.id] = active
        self._queue.add(active.id, active.owner)

    def _cancel(self, active: ActiveTask) -> None:
        active.cancellation.cancel("cancelled")
        if active.run is None:
            self._queue.remove(active.id, active.owner)
            self._end(active, Outcome("cancelled"), RESULT)

    async def _run(self, active: ActiveTask) -> None:
        set_log_ids(task_id=active.id, key=key_id(active.owner))
        log_event(_log, "task started")
        event_type = ERROR
        try:
            spec = active.spec or await self._load_spec(active)
            active.known_names |= {*spec.agents, *spec.skills}
            timer = asyncio.get_running_loop().call_later(spec.timeout, active.cancellation.cancel, "timeout")
            try:
                self._progress.start(active)
                outcome = await self._run_engine(active, spec)
            finally:
                timer.cancel()
            event_type = ERROR if outcome.status in LIMIT_STATUSES else RESULT
        except ApiError as error:
            outcome = Outcome("failed", error=(error.type, error.message))
        except Exception as error:
            log_exception(_log, f"task {active.id}", error)
            outcome = SERVER_FAILED
        self._end(active, outcome, event_type)

    async def _load_spec(self, active: ActiveTask) -> TaskSpec:
        """Return the specification of a task that has waited. Raise ApiError if the server would not accept it now."""
        spec = await self._store.in_thread(lambda: self._read_spec(active.id))
        self._check(active.task, spec)
        return spec

    def _read_spec(self, task_id: str) -> TaskSpec:
        task, text = self._store.get_task(task_id), self._store.queued_spec(task_id)
        if task is None or text is None:
            raise ValueError("the store has no such queued task")
        return decode_spec(text, task)

    async def _run_engine(self, active: ActiveTask, spec: TaskSpec) -> Outcome:
        if active.storage_failed:
            return NOT_STORED
        running = asyncio.ensure_future(self._engine.run(spec, self._progress.sink(active), active.cancellation))
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

    def _end(self, active: ActiveTask, outcome: Outcome, event_type: str) -> None:
        if self._active.pop(active.id, None) is None:
            return
        if active.run is not None:
            self._queue.end(active.owner)
        self._progress.store_events(active)
        if active.exceeded is not None:
            outcome, event_type = attrs.evolve(outcome, status="failed", error=(TOO_LARGE, active.exceeded)), ERROR
        if active.storage_failed:
            outcome, event_type = attrs.evolve(NOT_STORED, usage=outcome.usage), ERROR
        account = self._progress.account_of(active.owner)
        active.task = self._store_end(active.task, outcome, active.seq + 1, event_type, active.used)
        account.settle(active.id, active.task.usage.cost)
        active.seq += 1
        active.ended.set()
        active.changed.notify()
        self._start_pending()

    def _store_end(self, task: Task, outcome: Outcome, seq: int, event_type: str, used: Mapping[str, int]) -> Task:
        """Store the end of a task and return the ended task: as failed if its real end cannot be stored."""
        ended, event = ended_task(task, outcome, seq, event_type)
        try:
            self._store.end_task(ended, event, used)
        except Exception as error:
            log_exception(_log, f"storing the end of task {task.id}", error)
            # The next server would find the task unfinished and end it as failed, so clients must see the same now.
            ended, event = ended_task(task, attrs.evolve(NOT_STORED, usage=outcome.usage), seq, ERROR)
            self._store.defer_end(ended, event, used)
        self._metrics.add_task(ended.status, ended.model, ended.usage)
        log_event(
            _log, "task ended", task_id=ended.id, key=key_id(ended.owner), status=ended.status, model=ended.model,
            **attrs.asdict(ended.usage), used=dict(used),
        )  # fmt: skip
        return ended
