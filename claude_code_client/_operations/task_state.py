"""State machine of a task, as this client is responsible for it. No I/O."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

import attrs
from claude_code_api import models as generated

from .._wire import responses
from ..models import AgenticTaskResponse


class TaskState(Enum):
    """State of one task."""

    NEW = auto()
    """Nothing was sent."""
    SUBMITTING = auto()
    """The server may have the task, but has not confirmed it."""
    REJECTED = auto()
    """The server does not have the task. Final."""
    RUNNING = auto()
    """The server has the task, which is cancelled when its caller leaves."""
    DETACHED = auto()
    """The server has the task, which goes on when its caller leaves."""
    CANCELLING = auto()
    """The caller has left; the cancel request has been sent or is about to be. Nothing else sends it again."""
    ENDED = auto()
    """The task has ended. Final."""

    @property
    def needs_cancel(self) -> bool:
        """True if a caller that leaves has to cancel the task."""
        return self in (TaskState.SUBMITTING, TaskState.RUNNING)


class Trigger(Enum):
    """Event that may change the state of a task."""

    SUBMIT = auto()
    """The submit, or the request that finds a task of the journal again, is about to be sent."""
    REJECT = auto()
    """The server has refused the task, or the submit never reached it."""
    CONFIRM = auto()
    """The server has reported a task that has not ended."""
    END = auto()
    """The server has reported the end of the task."""
    LEAVE = auto()
    """The caller leaves before the end."""
    DETACH = auto()
    """The caller lets the task go on without it."""


# A report may arrive late, such as the response to another thread's request: an ended task stays ended.
TRANSITIONS: Final[Mapping[TaskState, Mapping[Trigger, TaskState]]] = {
    TaskState.NEW: {
        Trigger.SUBMIT: TaskState.SUBMITTING,
        Trigger.LEAVE: TaskState.NEW,
    },
    TaskState.SUBMITTING: {
        Trigger.REJECT: TaskState.REJECTED,
        Trigger.CONFIRM: TaskState.RUNNING,
        Trigger.END: TaskState.ENDED,
        Trigger.LEAVE: TaskState.CANCELLING,
    },
    TaskState.REJECTED: {
        Trigger.LEAVE: TaskState.REJECTED,
    },
    TaskState.RUNNING: {
        Trigger.CONFIRM: TaskState.RUNNING,
        Trigger.END: TaskState.ENDED,
        Trigger.LEAVE: TaskState.CANCELLING,
        Trigger.DETACH: TaskState.DETACHED,
    },
    TaskState.DETACHED: {
        Trigger.CONFIRM: TaskState.DETACHED,
        Trigger.END: TaskState.ENDED,
        Trigger.LEAVE: TaskState.DETACHED,
        Trigger.DETACH: TaskState.DETACHED,
    },
    TaskState.CANCELLING: {
        Trigger.CONFIRM: TaskState.CANCELLING,
        Trigger.END: TaskState.ENDED,
        Trigger.LEAVE: TaskState.CANCELLING,
        Trigger.DETACH: TaskState.CANCELLING,
    },
    TaskState.ENDED: {
        Trigger.CONFIRM: TaskState.ENDED,
        Trigger.END: TaskState.ENDED,
        Trigger.LEAVE: TaskState.ENDED,
        Trigger.DETACH: TaskState.ENDED,
    },
}


class IllegalTransitionError(RuntimeError):
    """A transition that no task can make: a bug in this client."""


def next_state(state: TaskState, trigger: Trigger) -> TaskState:
    """Return the state after the trigger. Raises IllegalTransitionError."""
    try:
        return TRANSITIONS[state][trigger]
    except KeyError:
        raise IllegalTransitionError(f"{trigger.name} is not possible in state {state.name}") from None


class TaskLifecycle:
    """Current state of one task. Safe to use from several threads."""

    def __init__(self) -> None:
        self._state = TaskState.NEW
        # Reentrant: a signal handler may detach the task that its own thread is waiting for.
        self._lock = threading.RLock()

    @property
    def state(self) -> TaskState:
        return self._state

    def apply(self, trigger: Trigger) -> bool:
        """Change the state; return whether it is another one now. Raises IllegalTransitionError."""
        with self._lock:
            previous, self._state = self._state, next_state(self._state, trigger)
            return self._state is not previous


@attrs.frozen
class TaskSnapshot:
    """A task as last reported by the server."""

    task: AgenticTaskResponse
    has_log: bool = True
    """False if the end was reported by a ``result`` event, which has no execution log."""

    @property
    def is_final(self) -> bool:
        """True if the task has ended and its execution log is known."""
        return self.has_log and self.task.is_terminal

    def with_result(self, event: generated.ResultEvent) -> TaskSnapshot:
        """Return the snapshot after the ``result`` event. Raises ``responses.PARSE_ERRORS`` if it is malformed."""
        return TaskSnapshot(responses.task_after(self.task, event), has_log=self.is_final)
