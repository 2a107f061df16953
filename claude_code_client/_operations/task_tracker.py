"""State of one task and what is known of it: every request about the task passes through here. No I/O."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import Any, Final, TypeVar

from claude_code_api import models as generated

from .._wire import responses
from ..errors import ClaudeAPIError, ClosedError, NotFoundError, TimeoutError, UnexpectedResponseError
from ..models import AgenticTaskResponse
from . import task_endpoints
from .client_state import ClientState
from .cost import ReservedCost
from .effects import Aborted, Delivery, Operation, Spawn
from .task_deadlines import cancel_deadline
from .task_ledger import TaskLedger
from .task_request import TaskRequest
from .task_state import TaskLifecycle, TaskSnapshot, TaskState, Trigger

T = TypeVar("T")

logger = logging.getLogger("claude_code_client")

_REJECTIONS: Final = frozenset({"invalid_request_error", "request_too_large", "permission_error", "idempotency_error"})
"""Error types of a submit that the server has never accepted; a wrong key, a quota or an outage has other types."""


class TaskTracker:
    """One task: submitted at most once, cancelled at most once, its cost settled when it is known."""

    def __init__(self, request: TaskRequest, state: ClientState, cost: ReservedCost | None = None) -> None:
        self._request = request
        self._ledger = TaskLedger(request, state, cost)
        self._lifecycle = TaskLifecycle()
        self._delivery = Delivery()
        self._snapshot: TaskSnapshot | None = None

    # ---- what is known

    @property
    def task(self) -> AgenticTaskResponse | None:
        """The task as last reported; None until the server has responded."""
        return self._snapshot.task if self._snapshot is not None else None

    @property
    def snapshot(self) -> TaskSnapshot:
        """The task as last reported; to be used only once the server has responded."""
        assert self._snapshot is not None  # noqa: S101
        return self._snapshot

    @property
    def id(self) -> str:
        return self.snapshot.task.id

    @property
    def needs_cancel(self) -> bool:
        """True if a caller that leaves now has to cancel the task."""
        return self._lifecycle.state.needs_cancel

    # ---- requests

    def submit(self, deadline: float) -> Operation[None]:
        """Reserve the cost, note the task in the journal and submit it."""
        try:
            self._ledger.reserve()
            yield from self._ledger.note_submitting()
            self._lifecycle.apply(Trigger.SUBMIT)
        except BaseException as error:
            self._ledger.release()
            if not isinstance(error, GeneratorExit | ClaudeAPIError):
                # The entry may have been written; recover() must not submit a task that nobody wants.
                yield from self._ledger.note_done()
            raise
        try:
            yield from self._observe(task_endpoints.submit(self._request, deadline, self._delivery))
        except ClaudeAPIError as error:
            _mark_unreadable(error)
            if not error.outcome_unknown:
                yield from self._reject()
            raise
        except Aborted:
            if not self._delivery.sent:
                yield from self._reject()
            raise
        yield from self._ledger.note_submitted(self.id)

    def recover(self, task_id: str | None, deadline: float) -> Operation[bool]:
        """Find a task of the journal again; return whether the server has it. ``settle_recovered`` has to follow.

        A task without an id was never confirmed, and is submitted once more. Its key is the one that it was submitted
        with, so the server runs it once.
        """
        added = ReservedCost()
        if task_id is None:
            added = self._ledger.reserve_recovered()
            self._delivery.sent = True
            request = task_endpoints.submit(self._request, deadline, self._delivery)
        else:
            request = task_endpoints.get(task_id, deadline)
        self._lifecycle.apply(Trigger.SUBMIT)
        try:
            task = yield from request
        except ClaudeAPIError as error:
            if task_id is not None and isinstance(error, NotFoundError):
                # The server had it once: the journal keeps it for another key, or for another server.
                logger.warning("task %s of the journal: %s", task_id, error)
                self._lifecycle.apply(Trigger.REJECT)
                return False
            if task_id is None and error.error_type in _REJECTIONS:
                yield from self._reject()
                return False
            # Any other failure says nothing about the task, which may run: the journal keeps it.
            _mark_unreadable(error)
            if not error.outcome_unknown:
                added.release()
            raise
        self._ledger.identify(task.id)
        self._snapshot = TaskSnapshot(task)
        self._lifecycle.apply(Trigger.END if task.is_terminal else Trigger.CONFIRM)
        yield from self._ledger.note_submitted(self.id)
        return True

    def reserve_recovered(self) -> ReservedCost:
        """Reserve the cost of a recovered task, and return what was added. Raises CostExceededError."""
        # What an ended task has cost is spent, whether a budget allows it or not.
        return self._ledger.reserve_recovered(0.0 if self.snapshot.task.is_terminal else None)

    def settle_recovered(self) -> Operation[None]:
        """Settle the cost of a recovered task that has ended meanwhile."""
        if self.snapshot.task.is_terminal:
            self._ledger.settle_ended(self.snapshot.task)
            yield from self._ledger.note_done()

    def get(self, deadline: float, *, wait: int | None = None) -> Operation[AgenticTaskResponse]:
        """Get the task; the server may hold its response for ``wait`` seconds until the task ends."""
        return self._observe(task_endpoints.get(self.id, deadline, wait=wait))

    def cancel(self, deadline: float) -> Operation[AgenticTaskResponse]:
        """Cancel the task, unless it has ended, and wait for its end."""
        if self._snapshot is None:
            # The response to the submit may be lost: its key finds the task, and does not run a second one.
            yield from self._observe(task_endpoints.submit(self._request, deadline, self._delivery))
        if self.snapshot.task.is_terminal:
            # Ctrl-C may have come before that.
            yield from self._settle(self.snapshot.task)
        else:
            yield from self._observe(task_endpoints.cancel(self.id, deadline))
        return self.snapshot.task

    # ---- changes of state

    def leave(self, deadline: float) -> Operation[None]:
        """Cancel the task if its caller leaves it running.

        This happens once; a failure is ignored, and after a timeout the cancel goes on in the background.
        """
        if not self.needs_cancel:
            return
        background_deadline = cancel_deadline(time.monotonic())
        try:
            if self._lifecycle.apply(Trigger.LEAVE):
                yield from self._let_go(deadline)
        except ClaudeAPIError as error:
            if isinstance(error, ClosedError | TimeoutError) and time.monotonic() < background_deadline:
                yield self._let_go_later(background_deadline)
        except GeneratorExit:
            raise
        except BaseException:
            # The caller stops waiting, but the task must not go on.
            if self._lifecycle.state is not TaskState.ENDED:
                yield self._let_go_later(background_deadline)
            raise

    def guard(self, operation: Operation[T]) -> Operation[T]:
        """Carry out an operation that leaves the task if it fails, and leave the task if Ctrl-C keeps it from that."""
        try:
            return (yield from operation)
        except (GeneratorExit, ClaudeAPIError):
            raise
        except BaseException:
            if self.needs_cancel:
                self._lifecycle.apply(Trigger.LEAVE)
                yield self._let_go_later(cancel_deadline(time.monotonic()))
            raise

    def detach(self) -> None:
        """Let the task go on when its caller leaves."""
        self._lifecycle.apply(Trigger.DETACH)

    def record_result(self, event: dict[str, Any]) -> Operation[None]:
        """Record the ``result`` event, with which the task has ended."""
        # An event that is malformed ends the task as well; its cost becomes known with the next response.
        with suppress(*responses.PARSE_ERRORS):
            self._snapshot = self.snapshot.with_result(generated.ResultEvent.from_dict(event))
            self._ledger.settle_ended(self._snapshot.task)
        yield from self._end()

    def record_error(self, deadline: float) -> Operation[None]:
        """Get the task after its ``error`` event, with which it has ended: it holds the cost, and the error in full."""
        yield from suppress_errors(self.get(deadline))
        self._lifecycle.apply(Trigger.END)

    def _observe(self, request: Operation[AgenticTaskResponse]) -> Operation[AgenticTaskResponse]:
        """Send a request about the task and record the task as reported."""
        task = yield from request
        if self._snapshot is None:
            self._ledger.identify(task.id)
        if task.is_terminal or self._snapshot is None or not self._snapshot.is_final:
            self._snapshot = TaskSnapshot(task)
        if task.is_terminal:
            yield from self._settle(task)
        else:
            self._lifecycle.apply(Trigger.CONFIRM)
        return task

    def _let_go(self, deadline: float) -> Operation[None]:
        if self._snapshot is None and not self._delivery.sent:
            # Interrupted before anything was sent: there is nothing to cancel, or to pay for.
            self._ledger.release()
            yield from self._ledger.note_done()
        else:
            yield from self.cancel(deadline)

    def _let_go_later(self, deadline: float) -> Spawn:
        return Spawn(suppress_errors(self._let_go(deadline)))

    def _settle(self, task: AgenticTaskResponse) -> Operation[None]:
        self._ledger.settle_ended(task)
        yield from self._end()

    def _end(self) -> Operation[None]:
        if self._lifecycle.apply(Trigger.END):
            yield from self._ledger.note_done()

    def _reject(self) -> Operation[None]:
        self._lifecycle.apply(Trigger.REJECT)
        self._ledger.release()
        yield from self._ledger.note_done()


def _mark_unreadable(error: ClaudeAPIError) -> None:
    # A response that cannot be read may belong to a task that runs.
    error.outcome_unknown = error.outcome_unknown or isinstance(error, UnexpectedResponseError)


def suppress_errors(operation: Operation[Any]) -> Operation[None]:
    """Carry out an operation whose failure does not matter."""
    try:
        yield from operation
    except ClaudeAPIError:
        return
