"""One task from its submit to its end, as operations that share what is known of it. No I/O.

Whatever ends a call early, an exception of the caller's, Ctrl-C, a deadline, cancels the task on the server, so that
nobody pays for what nobody waits for; and learns what it has cost, so that budgets stay true.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from claude_code_api.api.tasks import cancel_task, create_task, get_task

from .._policy.reconnect import ReconnectBudget, is_transient
from .._wire.error_bodies import from_detail
from .._wire.event_cursor import EventCursor
from ..errors import (
    ClaudeAPIError,
    ClosedError,
    NotFoundError,
    StreamInterruptedError,
    TaskStalledError,
    TimeoutError,
    UnexpectedResponseError,
)
from ..models import AgenticTaskResponse
from .client_state import ClientState
from .effects import Aborted, Emit, Operation, Spawn
from .event_stream import error_of
from .task_events import StreamTimeouts, TerminalEvent, follow_task
from .task_ledger import TaskLedger, result_event, without_prompt
from .task_request import TaskRequest

T = TypeVar("T")

logger = logging.getLogger("claude_code_client")

LONG_POLL: Final = 25.0
"""Seconds that one request waits for a task's end; less than what proxies commonly allow."""
STOP_TIMEOUT: Final = 1.5
"""Seconds that stopping a task may hold up whoever has left it."""
_LATE: Final = 0.1
"""The share of a timeout that is left to learn how a task stands when it is over."""
_MAX_LATE: Final = 5.0
"""Seconds; the same for long timeouts."""
_NEVER_TAKEN: Final = frozenset({"invalid_request_error", "request_too_large", "permission_error", "idempotency_error"})
"""What the API says of a submit that it never took; nothing that a wrong key, a quota or trouble would make it say."""


class TaskRun(TaskLedger):
    """The calls about one task, as operations."""

    def __init__(self, order: TaskRequest, state: ClientState) -> None:
        super().__init__(order, state)
        self._deadline = self._deadline_in(order.timeout)
        self._stall_timeout = order.stall_timeout
        self._detached = False
        self._left = False

    # ---- the calls

    def execute(self, *, watched: bool = False) -> Operation[AgenticTaskResponse]:
        """Submit, and wait for the end; ``watched``, emit the events meanwhile."""
        follow = watched or self._stall_timeout is not None
        return self._stopping(self._execute_watched() if follow else self._execute(), self._late_result)

    def stream(self, cursor: EventCursor) -> Operation[None]:
        """Submit, and emit the events; ``cursor`` tells how far it has come."""
        return self._stopping(self._stream(cursor), _nothing)

    def submit(self) -> Operation[None]:
        """Submit, and return once the server has the task."""
        return self._stopping(self._submit(), _nothing)

    def wait(
        self, timeout: float | None = None, *, stall_timeout: float | None = None, watched: bool = False
    ) -> Operation[AgenticTaskResponse]:
        """Wait for the end of a task that was submitted, for ``timeout`` seconds or as long as the order has left."""
        self._start_anew(timeout, stall_timeout)
        follow = watched or self._stall_timeout is not None
        return self._stopping(self._wait_watched() if follow else self._wait(), self._late_result)

    def events(
        self, cursor: EventCursor, timeout: float | None = None, *, stall_timeout: float | None = None
    ) -> Operation[None]:
        """Emit the events of a task that was submitted; ``cursor`` tells how far it has come."""
        self._start_anew(timeout, stall_timeout)
        cursor.task_id = self._id
        return self._stopping(self._events(cursor), _nothing)

    def refresh(self, timeout: float) -> Operation[AgenticTaskResponse]:
        """See how it stands."""
        return self._telling(self._ask(get_task, get_task._get_kwargs(self._id), time.monotonic() + timeout))

    def cancel(self, timeout: float) -> Operation[AgenticTaskResponse]:
        """Cancel it, and wait for its end."""
        return self._telling(self._cancel(time.monotonic() + timeout))

    def leave(self) -> Operation[None]:
        """Cancel it unless it is over, and do not wait for long."""
        yield from self._stop(_soon())

    def recover(self, task_id: str | None, deadline: float) -> Operation[bool]:
        """Find a task of the journal again; whether there is one. What was never confirmed is submitted once more.

        The key is the one that it was submitted with, so that the server runs it once.
        """
        self._deadline = deadline
        self._sent = True
        if task_id is None:
            self._reserve()
            found = self._ask(create_task, self._order.submission(), deadline)
        else:
            found = self._ask(get_task, get_task._get_kwargs(task_id), deadline)
        try:
            yield from found
        except ClaudeAPIError as error:
            if task_id is not None and isinstance(error, NotFoundError):
                # It was taken once; another key, or another server, may know it.
                logger.warning("task %s of the journal: %s", task_id, error)
                return False
            if task_id is not None or error.error_type not in _NEVER_TAKEN:
                raise
            self._settle(0.0)
            yield from self._note("done")
            return False
        # Whatever else went wrong says nothing of the task, which may run: the journal keeps it.
        yield from self._note("submitted", self._id)
        return True

    def detach(self) -> None:
        """Let the task live on, whatever becomes of whoever has this run."""
        self._detached = True

    @property
    def is_over(self) -> bool:
        """Whether there is nothing to stop: it has ended, is being stopped, was never sent, or is to live on."""
        return self._ended or self._left or self._detached or not self._sent

    # ---- their parts

    def _execute(self) -> Operation[AgenticTaskResponse]:
        # Waiting is not the submit's: it goes on when the server is away for a while, without a further submit.
        yield from self._submit()
        return (yield from self._wait())

    def _execute_watched(self) -> Operation[AgenticTaskResponse]:
        yield from self._submit()
        return (yield from self._wait_watched())

    def _stream(self, cursor: EventCursor) -> Operation[None]:
        yield from self._submit()
        yield from self._events(cursor)

    def _submit(self) -> Operation[None]:
        self._reserve()
        try:
            yield from self._note("submitting", self._order.body.to_dict(), self._order.timeout)
        except BaseException as error:
            self._settle(0.0)
            if isinstance(error, Aborted):
                # It may have been noted; recover() is not to submit what nobody wants.
                yield from self._quietly(self._note("done"))
            raise
        self._sent = True
        try:
            yield from self._ask(create_task, self._order.submission(), self._deadline)
        except ClaudeAPIError as error:
            # An answer that cannot be read may be one to a task that runs.
            error.outcome_unknown = error.outcome_unknown or isinstance(error, UnexpectedResponseError)
            if not error.outcome_unknown:
                self._sent = False
                self._settle(0.0)
                yield from self._note("done")
            raise
        yield from self._note("submitted", self._id)

    def _wait(self) -> Operation[AgenticTaskResponse]:
        reconnects = ReconnectBudget()
        while not self._seen_whole:
            if time.monotonic() >= self._deadline:
                raise self._overdue()
            try:
                yield from self._ask(get_task, get_task._get_kwargs(self._id, prefer=self._long_poll()), self._deadline)
                reconnects.progress()
            except ClaudeAPIError as error:
                # The task runs on, and has cost money: the server may be back soon.
                reconnects.note(error.attempts, error.history)
                error.attempts, error.history = reconnects.attempts, reconnects.history
                if not is_transient(error) or not (
                    yield from reconnects.pause(self._deadline, asked=error.retry_after)
                ):
                    raise
        return _result(self._known)

    def _wait_watched(self) -> Operation[AgenticTaskResponse]:
        last = yield from self._follow(EventCursor())
        yield Emit(last.event)
        return (yield from self._wait())

    def _events(self, cursor: EventCursor) -> Operation[None]:
        last = yield from self._follow(cursor)
        if last.event["type"] == "error":
            # What it was and what it has cost is known to the task.
            yield from self._quietly(self._last_look())
            self._ended = True
            raise from_detail(error_of(last.event))
        if not last.seen:
            yield Emit(last.event)

    def _follow(self, cursor: EventCursor) -> Operation[TerminalEvent]:
        self._cursor = cursor
        watch = StreamTimeouts(
            deadline=self._deadline, read_timeout=self._order.read_timeout, stall_timeout=self._stall_timeout
        )
        last = yield from follow_task(self._id, watch, cursor)
        if last.event["type"] == "result":
            yield from self._see_result(result_event(last.event))
        return last

    def _last_look(self) -> Operation[None]:
        yield from self._ask(get_task, get_task._get_kwargs(self._id), self._soon_in_time)

    def _cancel(self, deadline: float) -> Operation[AgenticTaskResponse]:
        if self.task is None:
            # The submit may have been cut: with its key the server says which task it is, and runs no second one.
            yield from self._ask(create_task, self._order.submission(), deadline)
        if self.task is None or not self.task.is_terminal:
            # The contract makes it idempotent, so that it may be repeated without a key.
            request = cancel_task._get_kwargs(self._id)
            yield from self._ask(cancel_task, request, deadline, repeatable=True)
        return self._known

    def _stop(self, deadline: float) -> Operation[None]:
        """Cancel it, unless that is done; the server may be out of reach, and nobody waits for the answer.

        What there is no time for is done in the background.
        """
        if self.is_over:
            return
        self._left = True
        until = _soon()
        try:
            yield from self._cancel(deadline)
        except ClaudeAPIError as error:
            if isinstance(error, ClosedError | TimeoutError) and time.monotonic() < until:
                yield Spawn(self._quietly(self._cancel(until)))

    def _stopping(self, operation: Operation[T], late: Callable[[], T | None]) -> Operation[T]:
        """The operation; a task that it leaves behind is cancelled, and exceptions tell what is known of it.

        ``late`` gives the result of a task that turns out to have ended when its time was over.
        """
        try:
            return (yield from operation)
        except GeneratorExit:
            raise
        except ClaudeAPIError as error:
            result = yield from self._stop_after(error, late)
            if result is not None:
                return result
            self._tell(error)
            raise
        except BaseException as error:
            if not self.is_over:
                yield from self._stop(_soon())
                if self.task is not None and self.task.is_terminal:
                    cause = error.cause if isinstance(error, Aborted) and error.cause is not None else error
                    cause.add_note(f"The task {self.task.id} was cancelled; it has cost ${self.task.usage.cost:.4f}.")
            raise

    def _stop_after(self, error: ClaudeAPIError, late: Callable[[], T | None]) -> Operation[T | None]:
        """Cancel what the call leaves behind as it fails; the result, if the task turns out to have one."""
        match error:
            case StreamInterruptedError():
                # It can be taken up again, with what the exception tells.
                return None
            case ClosedError():
                # Whoever waits is to be let go at once.
                if not self.is_over:
                    yield Spawn(self._stop(_soon()))
                return None
            case TaskStalledError():
                yield from self._stop(time.monotonic() + self._stall_share)
                return late()
            case TimeoutError(error_type=None, status_code=None):
                yield from self._stop(self._late_deadline)
                return late()
            case _:
                if self.task is not None:
                    yield from self._stop(self._soon_in_time)
                return None

    @property
    def _stall_share(self) -> float:
        """Seconds that cancelling a stalled task may hold up its exception."""
        return min((self._stall_timeout or 0.0) * _LATE, STOP_TIMEOUT)

    def _telling(self, operation: Operation[T]) -> Operation[T]:
        try:
            return (yield from operation)
        except ClaudeAPIError as error:
            self._tell(error)
            raise

    def _late_result(self) -> AgenticTaskResponse | None:
        return self.task if self.task is not None and self.task.status in ("completed", "failed") else None

    def _deadline_in(self, timeout: float) -> float:
        # The server stops the task by itself when its time is over; half of what is left waits for its word.
        self._late = min(timeout * _LATE, _MAX_LATE) / 2
        return time.monotonic() + timeout + self._late

    @property
    def _soon_in_time(self) -> float:
        """Soon, and no later than whoever still waits for this call expects."""
        return min(_soon(), self._late_deadline)

    @property
    def _late_deadline(self) -> float:
        return max(self._deadline, time.monotonic()) + self._late

    def _quietly(self, operation: Operation[Any]) -> Operation[None]:
        try:
            yield from operation
        except ClaudeAPIError:
            return

    def _overdue(self) -> TimeoutError:
        return TimeoutError(
            f"The task did not end within its timeout of {self._order.timeout:g} s. Give it a larger one."
        )

    def _start_anew(self, timeout: float | None, stall_timeout: float | None) -> None:
        self._deadline = self._deadline_in(self._order.timeout if timeout is None else timeout)
        self._stall_timeout = self._order.stall_timeout if stall_timeout is None else stall_timeout

    def _long_poll(self) -> str:
        """The preference for an answer that comes before the deadline (RFC 7240, 4.3)."""
        return f"wait={max(0, math.ceil(min(LONG_POLL, self._deadline - time.monotonic())))}"


def _nothing() -> None:
    return None


def _soon() -> float:
    return time.monotonic() + STOP_TIMEOUT


def _result(task: AgenticTaskResponse) -> AgenticTaskResponse:
    """The ended task, or the exception that its status stands for; failed and cancelled are for the caller to see."""
    if task.status not in ("timeout", "cost_exceeded"):
        return task
    said = {"message": f"The task ended with status {task.status}."} | (task.error or {})
    # The status decides, since an older server's error has no type.
    raise from_detail({**said, "type": f"{task.status}_error"}, task=without_prompt(task))
