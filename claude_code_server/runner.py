"""Runs tasks on the engine: when each starts, how it is stopped, what is stored of it, who waits for what."""

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .engine.base import Engine, EventType, Order, Outcome, Spent, Stop
from .failures import log_failure
from .records import ERROR, RESULT, RUNNING, Artifact, Event, Failure, Task, now
from .store import Claim, Store

_log = logging.getLogger(__name__)
_BREAK_OFF = 1.0
_TEXTS = {
    "cancelled": ("cancelled_error", "The task was cancelled."),
    "timeout": ("timeout_error", "The task ran past its timeout."),
    "cost_exceeded": ("cost_exceeded_error", "The task has spent its max_cost."),
    "failed": ("server_error", "The task failed."),
}
_OWN_FAILURE = Outcome("failed", error=("server_error", "The server failed while it ran the task."))
_INTERRUPTED = Outcome("failed", error=("server_error", "The server stopped before the task ended."))
_NOT_STORED = Outcome("failed", error=("server_error", "The server could not store what the task did."))


class ClosedError(Exception):
    """The runner takes no more tasks."""


@dataclass(eq=False)
class _Live:
    """A task that has not ended."""

    task: Task
    order: Order
    stop: Stop = field(default_factory=Stop)
    seq: int = 0
    not_stored: bool = False
    """Whether something of it could not be stored; then it can only end as failed."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at the next event; then another one takes its place."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    running: asyncio.Task[None] | None = None


class Runner:
    """At most ``at_once`` tasks run, the others wait their turn as pending. A timeout counts from the start of running.

    An event is stored before anybody hears of it. The last event of a task is its only terminal one.
    """

    def __init__(self, engine: Engine, store: Store, *, at_once: int, stop_grace: float) -> None:
        self._engine = engine
        self._store = store
        self._at_once = at_once
        self._stop_grace = stop_grace
        self._live: dict[str, _Live] = {}
        self._waiting: deque[_Live] = deque()
        self._closed = False

    def recover(self) -> None:
        """End what a server that is no more left behind in the store."""
        for task in self._store.unfinished():
            self._store_end(task, _INTERRUPTED, self._store.last_seq(task.id) + 1, ERROR)

    def submit(self, task: Task, order: Order, claim: Claim | None = None) -> None:
        """Store a new task, and run it when its turn comes. Raises ClosedError."""
        if self._closed:
            raise ClosedError
        self._store.add_task(task, claim)
        live = self._live[task.id] = _Live(task, order)
        self._waiting.append(live)
        self._start_waiting()

    def cancel(self, task_id: str) -> None:
        """Ask a task to stop. Does nothing to one that has ended."""
        live = self._live.get(task_id)
        if live is not None:
            self._stop(live)

    async def wait(self, task_id: str, seconds: float | None = None) -> bool:
        """Wait until a task has ended, for ``seconds`` at most; whether it has."""
        live = self._live.get(task_id)
        return live is None or await _happens(live.ended, seconds)

    def is_live(self, task_id: str) -> bool:
        """Whether there is more to come of a task."""
        return task_id in self._live

    async def wait_for_news(self, task_id: str, after: int, seconds: float) -> bool:
        """Wait until there is an event with a number greater than ``after``, or the task has ended; whether so."""
        live = self._live.get(task_id)
        return live is None or live.seq > after or await _happens(live.news, seconds)

    async def aclose(self, grace: float) -> None:
        """Stop all tasks; those that take more than ``grace`` seconds are broken off."""
        self._closed = True
        for live in list(self._live.values()):
            self._stop(live)
        running = [live.running for live in self._live.values() if live.running is not None]
        if running:
            _, late = await asyncio.wait(running, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=_BREAK_OFF)
        for live in list(self._live.values()):
            self._end(live, Outcome("cancelled"), RESULT)

    # ---- inside

    def _start_waiting(self) -> None:
        running = sum(live.running is not None for live in self._live.values())
        while self._waiting and running < self._at_once:
            live = self._waiting.popleft()
            live.running = asyncio.create_task(self._run(live), name=live.task.id)
            running += 1

    def _stop(self, live: _Live) -> None:
        live.stop.ask("cancelled")
        if live.running is None:
            self._waiting.remove(live)
            self._end(live, Outcome("cancelled"), RESULT)

    async def _run(self, live: _Live) -> None:
        timer = asyncio.get_running_loop().call_later(live.order.timeout, live.stop.ask, "timeout")
        try:
            self._stored(live, self._store.start_task)
            live.task = replace(live.task, status=RUNNING)
            outcome = await self._outcome(live)
            kind = ERROR if outcome.status in ("timeout", "cost_exceeded") else RESULT
        except Exception as error:
            log_failure(_log, f"task {live.task.id}", error)
            outcome, kind = _OWN_FAILURE, ERROR
        finally:
            timer.cancel()
        self._end(live, outcome, kind)

    async def _outcome(self, live: _Live) -> Outcome:
        if live.not_stored:
            return _NOT_STORED
        working = asyncio.ensure_future(self._engine.run(live.order, _Emit(self, live), live.stop))
        stopping = asyncio.ensure_future(live.stop.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await asyncio.wait({working}, timeout=self._stop_grace)
        finally:
            stopping.cancel()
            if not working.done():
                working.cancel()
                await asyncio.wait({working}, timeout=_BREAK_OFF)
        if working.done() and not working.cancelled():
            return working.result()
        return Outcome(live.stop.reason or "failed")

    def _publish(self, live: _Live, type: EventType, fields: Mapping[str, Any]) -> None:
        if live.ended.is_set():
            return
        if self._stored(live, self._store.add_event, Event(live.seq + 1, type, now(), fields)):
            live.seq += 1
            live.news.set()
            live.news = asyncio.Event()

    def _meter(self, live: _Live, spent: Spent) -> None:
        if not live.ended.is_set():
            live.task = replace(live.task, spent=spent)
            self._stored(live, self._store.set_spent, spent)

    def _stored(self, live: _Live, store: Callable[..., None], *values: Any) -> bool:
        """Whether a part of a task could be stored. If not, the task is stopped, and no further part is stored."""
        if live.not_stored:
            return False
        try:
            store(live.task.id, *values)
        except Exception as error:
            log_failure(_log, f"storing a part of task {live.task.id}", error)
            live.not_stored = True
            live.stop.ask("failed")
            return False
        return True

    def _end(self, live: _Live, outcome: Outcome, kind: str) -> None:
        if self._live.pop(live.task.id, None) is None:
            return
        if live.not_stored:
            outcome, kind = replace(_NOT_STORED, spent=outcome.spent), ERROR
        live.task = self._store_end(live.task, outcome, live.seq + 1, kind)
        live.seq += 1
        live.ended.set()
        live.news.set()
        if not self._closed:
            self._start_waiting()

    def _store_end(self, task: Task, outcome: Outcome, seq: int, kind: str) -> Task:
        """The task as it has ended: as failed, if nothing else can be stored, as the next server would find it."""
        ended, event = _ending(task, outcome, seq, kind)
        try:
            self._store.end_task(ended, event)
        except Exception as error:
            log_failure(_log, f"storing the end of task {task.id}", error)
            ended, event = _ending(task, replace(_NOT_STORED, spent=outcome.spent), seq, ERROR)
            self._store.owe_end(ended, event)
        return ended


@dataclass(frozen=True, slots=True)
class _Emit:
    """What a run tells of itself."""

    runner: Runner
    live: _Live

    def __call__(self, type: EventType, *, content: str, **fields: Any) -> None:
        self.runner._publish(self.live, type, {"content": content, **fields})

    def spent(self, spent: Spent) -> None:
        self.runner._meter(self.live, spent)


async def _happens(event: asyncio.Event, seconds: float | None) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _ending(task: Task, outcome: Outcome, seq: int, kind: str) -> tuple[Task, Event]:
    """The task as it has ended, and its terminal event."""
    at = now()
    spent = task.spent if outcome.spent == Spent() else outcome.spent
    ended = replace(
        task,
        status=outcome.status,
        completed_at=at,
        summary=outcome.summary,
        result=outcome.result,
        artifacts=tuple(Artifact(f"art_{uuid.uuid4().hex}", found) for found in outcome.artifacts),
        spent=spent,
        failure=_failure(outcome, spent),
    )
    return ended, Event(seq, kind, at)


def _failure(outcome: Outcome, spent: Spent) -> Failure | None:
    if outcome.status == "completed":
        return None
    type_, message = outcome.error or _TEXTS[outcome.status]
    if outcome.status != "failed":
        type_ = _TEXTS[outcome.status][0]
    return Failure(type_, message, spent.cost if outcome.status == "cost_exceeded" else None)
