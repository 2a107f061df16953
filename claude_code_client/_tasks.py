"""One task from its submit to its end, as flows that share what is known of it. No I/O.

Whatever ends a call early, an exception of the caller's, Ctrl-C, a deadline, cancels the task on the server, so that
nobody pays for what nobody waits for; and learns what it has cost, so that budgets stay true.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

import attrs
from claude_code_api import models as generated
from claude_code_api.api.tasks import cancel_task, create_task, get_task
from claude_code_api.models.create_task_request import CreateTaskRequest

from . import _convert as convert
from . import _older
from ._flow import Abandoned, Do, Flow, Request, Send
from ._follow import follow_task
from ._shared import Shared
from .budget import Reservation
from .errors import (
    ClaudeAPIError,
    ConfigurationError,
    NotFoundError,
    StreamInterruptedError,
    TimeoutError,
    UnexpectedResponseError,
    from_detail,
)
from .models import AgenticTaskResponse

T = TypeVar("T")

logger = logging.getLogger("claude_code_client")

DEFAULT_MAX_COST: Final = 1.0
"""USD; what the contract gives a task that names no maximum."""
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


@attrs.frozen(kw_only=True)
class TaskOrder:
    """A task to submit: its body, its key, and the seconds that the call may take."""

    body: CreateTaskRequest = attrs.field(repr=False)
    idempotency_key: str
    timeout: float

    def submission(self, prefer: str) -> Request:
        return create_task._get_kwargs(body=self.body, idempotency_key=self.idempotency_key, prefer=prefer)

    @property
    def max_cost(self) -> float:
        """USD that it may cost."""
        asked = self.body.max_cost
        return asked if isinstance(asked, int | float) else DEFAULT_MAX_COST


class TaskRun:
    """What is known of one task, and the flows that find out more."""

    def __init__(self, order: TaskOrder, shared: Shared) -> None:
        self._order = order
        self._shared = shared
        self._deadline = self._deadline_in(order.timeout)
        self._reservations: list[Reservation] = []
        self._sent = False
        self._detached = False
        self._ended = False
        self._left = False
        self._seen_whole = False
        self.task: AgenticTaskResponse | None = None
        """The task as it was last seen; None until the server has answered."""

    # ---- the calls

    def execute(self) -> Flow[AgenticTaskResponse]:
        """Submit, and wait for the end."""
        return self._stopping(self._execute(), self._late_result)

    def stream(self) -> Flow[None]:
        """Submit, and emit the events."""
        return self._stopping(self._stream(), _nothing)

    def submit(self) -> Flow[None]:
        """Submit, and return once the server has the task."""
        return self._stopping(self._submit("respond-async"), _nothing)

    def wait(self, timeout: float | None = None) -> Flow[AgenticTaskResponse]:
        """Wait for the end of a task that was submitted, for ``timeout`` seconds or as long as the order has left."""
        self._restart_clock(timeout)
        return self._stopping(self._wait(), self._late_result)

    def events(self, timeout: float | None = None) -> Flow[None]:
        """Emit the events of a task that was submitted."""
        self._restart_clock(timeout)
        return self._stopping(self._follow(), _nothing)

    def refresh(self, timeout: float) -> Flow[AgenticTaskResponse]:
        """See how it stands."""
        return self._telling(self._ask(get_task, get_task._get_kwargs(self._id), time.monotonic() + timeout))

    def cancel(self, timeout: float) -> Flow[AgenticTaskResponse]:
        """Cancel it, and wait for its end."""
        return self._telling(self._cancel(time.monotonic() + timeout))

    def leave(self) -> Flow[None]:
        """Cancel it unless it is over, and do not wait for long."""
        yield from self._stop(_soon())

    def recover(self, task_id: str | None, deadline: float) -> Flow[bool]:
        """Find a task of the journal again; whether there is one. What was never confirmed is submitted once more.

        The key is the one that it was submitted with, so that the server runs it once.
        """
        self._deadline = deadline
        self._sent = True
        if task_id is None:
            self._reservations = self._shared.ledger.reserve(self._order.max_cost)
            found = self._ask(create_task, self._order.submission("respond-async"), deadline)
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

    def _execute(self) -> Flow[AgenticTaskResponse]:
        yield from self._submit(f"respond-async, {self._long_poll()}")
        return (yield from self._wait())

    def _stream(self) -> Flow[None]:
        yield from self._submit("respond-async")
        yield from self._follow()

    def _submit(self, prefer: str) -> Flow[None]:
        self._reservations = self._shared.ledger.reserve(self._order.max_cost)
        try:
            yield from self._note("submitting", self._order.body.to_dict(), self._order.timeout)
        except ConfigurationError:
            self._settle(0.0)
            raise
        self._sent = True
        try:
            yield from self._ask(create_task, self._order.submission(prefer), self._deadline)
        except ClaudeAPIError as error:
            # An answer that cannot be read may be one to a task that runs.
            error.outcome_unknown = error.outcome_unknown or isinstance(error, UnexpectedResponseError)
            if not error.outcome_unknown:
                self._sent = False
                self._settle(0.0)
                yield from self._note("done")
            raise
        yield from self._note("submitted", self._id)

    def _wait(self) -> Flow[AgenticTaskResponse]:
        while not self._seen_whole:
            if time.monotonic() >= self._deadline:
                raise self._overdue()
            yield from self._ask(get_task, get_task._get_kwargs(self._id, prefer=self._long_poll()), self._deadline)
        return _result(self._known)

    def _follow(self) -> Flow[None]:
        try:
            yield from follow_task(self._id, deadline=self._deadline, on_result=self._see_result)
        except StreamInterruptedError:
            raise
        except ClaudeAPIError as error:
            if error.status_code is None and error.error_type is not None:
                # The terminal event: what it was and what it has cost is known to the task.
                yield from self._quietly(self._last_look())
            raise

    def _last_look(self) -> Flow[None]:
        yield from self._ask(get_task, get_task._get_kwargs(self._id), self._soon_in_time)

    def _cancel(self, deadline: float) -> Flow[AgenticTaskResponse]:
        if self.task is None:
            # The submit may have been cut: with its key the server says which task it is, and runs no second one.
            yield from self._ask(create_task, self._order.submission("respond-async"), deadline)
        if self.task is None or not self.task.is_terminal:
            # The contract makes it idempotent, so that it may be repeated without a key.
            request = cancel_task._get_kwargs(self._id)
            yield from self._ask(cancel_task, request, deadline, repeatable=True)
        return self._known

    def _stop(self, deadline: float) -> Flow[None]:
        """Cancel it, unless that is done; the server may be out of reach, and nobody waits for the answer."""
        if not self.is_over:
            self._left = True
            yield from self._quietly(self._cancel(deadline))

    def _stopping(self, flow: Flow[T], late: Callable[[], T | None]) -> Flow[T]:
        """The flow; a task that it leaves behind is cancelled, and exceptions tell what is known of it.

        ``late`` gives the result of a task that turns out to have ended when its time was over.
        """
        try:
            return (yield from flow)
        except GeneratorExit:
            raise
        except ClaudeAPIError as error:
            overdue = isinstance(error, TimeoutError) and error.error_type is None and error.status_code is None
            # A stream that was cut can be taken up again, with what its exception tells.
            left_behind = (overdue or self.task is not None) and not isinstance(error, StreamInterruptedError)
            if left_behind and not self.is_over:
                yield from self._stop(self._late_deadline if overdue else self._soon_in_time)
                if overdue and (result := late()) is not None:
                    return result
            self._tell(error)
            raise
        except BaseException as error:
            if not self.is_over:
                yield from self._stop(_soon())
                if self.task is not None:
                    cause = error.cause if isinstance(error, Abandoned) and error.cause is not None else error
                    cause.add_note(f"The task {self.task.id} was cancelled; it has cost ${self.task.usage.cost:.4f}.")
            raise

    def _telling(self, flow: Flow[T]) -> Flow[T]:
        try:
            return (yield from flow)
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

    def _ask(
        self, endpoint: Any, request: Request, deadline: float, *, repeatable: bool | None = None
    ) -> Flow[AgenticTaskResponse]:
        """One request about the task, and what it says of it."""
        response = yield Send(request=request, deadline=deadline, repeatable=repeatable)
        task = convert.parse(endpoint, response, generated.AgenticTaskResponse, convert.task, adapt=_older.task)
        self.task = task
        self._seen_whole = task.is_terminal
        if task.is_terminal and not self._ended:
            self._ended = True
            self._settle(task.usage.cost)
            yield from self._note("done")
        return task

    def _see_result(self, event: generated.ResultEvent | None) -> Flow[None]:
        """The last event has come."""
        self._ended = True
        if event is not None and self.task is not None:
            with suppress(*convert.MISREADINGS):
                self.task = convert.task_after(self.task, event)
                self._settle(self.task.usage.cost)
        yield from self._note("done")

    def _note(self, method: str, *facts: Any) -> Flow[None]:
        """Write to the journal, if there is one. Raises ConfigurationError if what is to be sent cannot be noted."""
        if self._shared.journal is None:
            return
        try:
            yield Do(partial(getattr(self._shared.journal, method), self._order.idempotency_key, *facts))
        except ConfigurationError as error:
            if not self._sent:
                raise
            # The task runs, whatever becomes of the note; recover() will ask for it once more than it would have to.
            logger.warning("%s", error)

    def _settle(self, cost: float) -> None:
        for reservation in self._reservations:
            reservation.settle(cost)

    def _quietly(self, flow: Flow[Any]) -> Flow[None]:
        try:
            yield from flow
        except ClaudeAPIError:
            return

    def _tell(self, error: ClaudeAPIError) -> None:
        if self.task is not None:
            error.task_id, error.task = self.task.id, without_prompt(self.task)

    def _overdue(self) -> TimeoutError:
        return TimeoutError(
            f"The task did not end within its timeout of {self._order.timeout:g} s. Give it a larger one."
        )

    def _restart_clock(self, timeout: float | None) -> None:
        self._deadline = self._deadline_in(self._order.timeout if timeout is None else timeout)

    def _long_poll(self) -> str:
        """The preference for an answer that comes before the deadline (RFC 7240, 4.3)."""
        return f"wait={max(0, math.ceil(min(LONG_POLL, self._deadline - time.monotonic())))}"

    @property
    def _known(self) -> AgenticTaskResponse:
        assert self.task is not None  # noqa: S101 (asked for only once the server has answered)
        return self.task

    @property
    def _id(self) -> str:
        return self._known.id


def _nothing() -> None:
    return None


def _soon() -> float:
    return time.monotonic() + STOP_TIMEOUT


def without_prompt(task: AgenticTaskResponse) -> AgenticTaskResponse:
    """The task as an exception carries it."""
    return attrs.evolve(task, description=None)


def _result(task: AgenticTaskResponse) -> AgenticTaskResponse:
    """The ended task, or the exception that its status stands for; failed and cancelled are for the caller to see."""
    if task.status not in ("timeout", "cost_exceeded"):
        return task
    said = {"message": f"The task ended with status {task.status}."} | (task.error or {})
    # The status decides, since an older server's error has no type.
    raise from_detail({**said, "type": f"{task.status}_error"}, task=without_prompt(task))
