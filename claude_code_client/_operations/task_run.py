"""Calls about one task, from its submit to its end. No I/O.

A call that ends early, by an exception of the caller, Ctrl-C or a deadline, cancels the task on the server: nobody pays
for what nobody waits for. It also learns what the task has cost, so that budgets stay correct.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from .._policy.polling import PollPace
from .._policy.reconnect import ReconnectBudget, is_transient
from .._wire import responses
from .._wire.error_bodies import from_detail
from .._wire.event_cursor import EventCursor
from ..errors import (
    ClaudeAPIError,
    ClosedError,
    NotSupportedError,
    StreamInterruptedError,
    TaskStalledError,
    TimeoutError,
)
from ..models import AgenticTaskResponse
from .backoff import wait_to_reconnect
from .client_state import ClientState
from .cost import ReservedCost
from .effects import Aborted, Emit, Operation, Sleep, Spawn
from .event_stream import error_detail
from .task_deadlines import TaskDeadlines, cancel_deadline
from .task_errors import add_task, without_prompt
from .task_events import StreamTimeouts, TerminalEvent, follow_task
from .task_request import TaskRequest
from .task_tracker import TaskTracker

P = ParamSpec("P")
T = TypeVar("T")


def _guarded(
    method: Callable[Concatenate[TaskRun, P], Operation[T]],
) -> Callable[Concatenate[TaskRun, P], Operation[T]]:
    """Decorate an operation that leaves the task: nothing that interrupts it lets the task run on."""

    @functools.wraps(method)
    def guarded(run: TaskRun, /, *args: P.args, **kwargs: P.kwargs) -> Operation[T]:
        return run.tracker.guard(method(run, *args, **kwargs))

    return guarded


class TaskRun:
    """One task. Its calls share what is known of the task; each call has deadlines of its own."""

    def __init__(self, request: TaskRequest, state: ClientState, cost: ReservedCost | None = None) -> None:
        """Create a run; ``cost`` is what budgets hold for a task of the journal."""
        self._request = request
        self._tracker = TaskTracker(request, state, cost)
        self._cursor = EventCursor()
        """Cursor of the latest event stream."""

    @property
    def task(self) -> AgenticTaskResponse | None:
        """The task as last reported; None until the server has responded."""
        return self._tracker.task

    # ---- calls

    def execute(self, *, watched: bool = False) -> Operation[AgenticTaskResponse]:
        """Submit the task and wait for its end; emit its events if ``watched``."""
        deadlines = self._deadlines()
        cursor = _watch_cursor(watched, deadlines)
        return self._cancel_on_failure(self._execute(deadlines, cursor), deadlines, cursor, self._late_result)

    def stream(self, cursor: EventCursor) -> Operation[None]:
        """Submit the task and emit its events; ``cursor`` follows them. The timeout counts from the first step."""
        deadlines = self._deadlines()
        yield from self._cancel_on_failure(self._stream(deadlines, cursor), deadlines, cursor, _no_result)

    def submit(self) -> Operation[None]:
        """Submit the task, and return once the server has it."""
        deadlines = self._deadlines()
        return self._cancel_on_failure(self._tracker.submit(deadlines.call), deadlines, None, _no_result)

    @property
    def tracker(self) -> TaskTracker:
        """State of the task."""
        return self._tracker

    def wait(
        self, timeout: float | None = None, *, stall_timeout: float | None = None, watched: bool = False
    ) -> Operation[AgenticTaskResponse]:
        """Wait for the end of a submitted task, for ``timeout`` seconds or as long as the task may take."""
        deadlines = self._deadlines(timeout, stall_timeout)
        cursor = _watch_cursor(watched, deadlines)
        return self._cancel_on_failure(self._wait(deadlines, cursor), deadlines, cursor, self._late_result)

    def events(
        self, cursor: EventCursor, timeout: float | None = None, *, stall_timeout: float | None = None
    ) -> Operation[None]:
        """Emit the events of a submitted task after ``cursor``, which follows them.

        The timeout counts from the first step.
        """
        cursor.task_id = self._tracker.id

        def follow() -> Operation[None]:
            deadlines = self._deadlines(timeout, stall_timeout)
            yield from self._cancel_on_failure(self._events(deadlines, cursor), deadlines, cursor, _no_result)

        return follow()

    def refresh(self, timeout: float) -> Operation[AgenticTaskResponse]:
        """Get the task in its current state."""
        return self._about(self._tracker.get(time.monotonic() + timeout))

    def cancel(self, timeout: float) -> Operation[AgenticTaskResponse]:
        """Cancel the task and wait for its end."""
        return self._about(self._tracker.cancel(time.monotonic() + timeout))

    @_guarded
    def leave(self) -> Operation[None]:
        """Cancel the task if its caller leaves it running, without delaying the caller for long."""
        yield from self._tracker.leave(cancel_deadline(time.monotonic()))

    def detach(self) -> None:
        """Let the task go on when its caller leaves."""
        self._tracker.detach()

    # ---- their steps

    def _execute(self, deadlines: TaskDeadlines, cursor: EventCursor | None) -> Operation[AgenticTaskResponse]:
        # The submit does not wait for the end: waiting must survive an outage of the server without a second submit.
        yield from self._tracker.submit(deadlines.call)
        return (yield from self._wait(deadlines, cursor))

    def _stream(self, deadlines: TaskDeadlines, cursor: EventCursor) -> Operation[None]:
        yield from self._tracker.submit(deadlines.call)
        yield from self._events(deadlines, cursor)

    def _wait(self, deadlines: TaskDeadlines, cursor: EventCursor | None) -> Operation[AgenticTaskResponse]:
        if cursor is not None:
            terminal = yield from self._follow(deadlines, cursor)
            yield Emit(terminal.event, self._tracker.id)
        yield from self._poll(deadlines)
        return _result(self._tracker.snapshot.task)

    def _poll(self, deadlines: TaskDeadlines) -> Operation[None]:
        """Get the task until it has ended and nothing of it is missing."""
        reconnects, pace = ReconnectBudget(), PollPace()
        while not self._tracker.snapshot.is_final:
            now = time.monotonic()
            if deadlines.is_expired(now):
                raise TimeoutError(
                    f"The task did not end within its timeout of {deadlines.timeout:g} s. Pass a larger timeout."
                )
            try:
                wait = deadlines.long_poll(now)
                yield from self._tracker.get(deadlines.call, wait=wait)
                reconnects.progress()
                yield from self._pause(pace, deadlines, started=now, wait=wait)
            except ClaudeAPIError as error:
                # The task goes on and has cost money, and the server may be back soon.
                reconnects.note(error.attempts, error.history)
                error.attempts, error.history = reconnects.attempts, reconnects.history
                if not is_transient(error) or not (
                    yield from wait_to_reconnect(reconnects, deadlines.call, retry_after=error.retry_after)
                ):
                    raise

    def _pause(self, pace: PollPace, deadlines: TaskDeadlines, *, started: float, wait: int) -> Operation[None]:
        """Wait before the next request if the server did not hold the last one, and the task goes on."""
        now = time.monotonic()
        delay = min(pace.next_delay(now - started, wait), deadlines.call - now)
        if delay > 0 and not self._tracker.snapshot.is_final:
            yield Sleep(delay)

    def _events(self, deadlines: TaskDeadlines, cursor: EventCursor) -> Operation[None]:
        terminal = yield from self._follow(deadlines, cursor)
        if terminal.event["type"] == "error":
            yield from self._tracker.record_error(deadlines.cleanup_deadline(time.monotonic()))
            raise from_detail(error_detail(terminal.event))
        if not terminal.is_duplicate:
            yield Emit(terminal.event, self._tracker.id)

    def _follow(self, deadlines: TaskDeadlines, cursor: EventCursor) -> Operation[TerminalEvent]:
        self._cursor = cursor
        timeouts = StreamTimeouts(
            deadline=deadlines.call, read_timeout=self._request.read_timeout, stall_timeout=deadlines.stall_timeout
        )
        try:
            terminal = yield from follow_task(self._tracker.id, timeouts, cursor)
        except NotSupportedError:
            if cursor.last_event_id is not None:
                raise
            # The legacy service streams no events, but the task runs, or has ended with the submit.
            yield from self._poll(deadlines)
            return TerminalEvent(responses.terminal_event(self._tracker.snapshot.task))
        if terminal.event["type"] == "result":
            yield from self._tracker.record_result(terminal.event)
        return terminal

    # ---- failures

    @_guarded
    def _cancel_on_failure(
        self,
        operation: Operation[T],
        deadlines: TaskDeadlines,
        cursor: EventCursor | None,
        late_result: Callable[[], T | None],
    ) -> Operation[T]:
        """Carry out a call. If it fails, cancel the task and set on the exception what is known of the task.

        ``late_result`` returns the result of a task that turns out to have ended in time after all.
        """
        try:
            return (yield from operation)
        except GeneratorExit:
            raise
        except ClaudeAPIError as error:
            result = yield from self._cancel_after(error, deadlines, late_result)
            if result is not None:
                return result
            self._describe(error, cursor)
            raise
        except BaseException as error:
            if self._tracker.needs_cancel:
                yield from self.leave()
                if self.task is not None and self.task.is_terminal:
                    cause = error.cause if isinstance(error, Aborted) and error.cause is not None else error
                    cause.add_note(f"Task {self.task.id} was cancelled; it has cost ${self.task.usage.cost:.4f}.")
            raise

    def _cancel_after(
        self, error: ClaudeAPIError, deadlines: TaskDeadlines, late_result: Callable[[], T | None]
    ) -> Operation[T | None]:
        now = time.monotonic()
        match error:
            case StreamInterruptedError():
                # The caller can resume the stream with what the exception carries.
                return None
            case ClosedError():
                # Release the caller at once.
                if self._tracker.needs_cancel:
                    yield Spawn(self._tracker.leave(cancel_deadline(now)))
                return None
            case TaskStalledError():
                yield from self._tracker.leave(deadlines.stall_deadline(now))
                return late_result()
            case TimeoutError(error_type=None, status_code=None):
                yield from self._tracker.leave(deadlines.grace_deadline(now))
                return late_result()
            case _:
                if self.task is not None:
                    yield from self._tracker.leave(deadlines.cleanup_deadline(now))
                return None

    def _about(self, operation: Operation[T]) -> Operation[T]:
        try:
            return (yield from operation)
        except ClaudeAPIError as error:
            self._describe(error)
            raise

    def _describe(self, error: ClaudeAPIError, cursor: EventCursor | None = None) -> None:
        if self.task is not None:
            add_task(error, self.task.id, self._cursor if cursor is None else cursor, self.task)

    def _late_result(self) -> AgenticTaskResponse | None:
        return self.task if self.task is not None and self.task.status in ("completed", "failed") else None

    def _deadlines(self, timeout: float | None = None, stall_timeout: float | None = None) -> TaskDeadlines:
        return TaskDeadlines.starting_at(
            time.monotonic(),
            self._request.timeout if timeout is None else timeout,
            self._request.stall_timeout if stall_timeout is None else stall_timeout,
        )


def _watch_cursor(watched: bool, deadlines: TaskDeadlines) -> EventCursor | None:
    """Return a cursor for a call that has to follow the events; None for one that only waits for the end."""
    return EventCursor() if watched or deadlines.stall_timeout is not None else None


def _no_result() -> None:
    return None


def _result(task: AgenticTaskResponse) -> AgenticTaskResponse:
    """Return an ended task, or raise the exception that its status stands for.

    The statuses ``failed`` and ``cancelled`` raise nothing: the caller reads them.
    """
    if task.status not in ("timeout", "cost_exceeded"):
        return task
    detail = {"message": f"The task ended with status {task.status}."} | (task.error or {})
    # The status decides: errors of older servers have no type.
    raise from_detail({**detail, "type": f"{task.status}_error"}, task=without_prompt(task))
