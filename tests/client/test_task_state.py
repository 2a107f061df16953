"""The state machine of a task: every transition that is possible, and no other."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
from claude_code_api.models import AgenticTaskResponse, ResultEvent
from support.servers import responses as bodies

from claude_code_client._operations.task_state import (
    IllegalTransitionError,
    TaskLifecycle,
    TaskSnapshot,
    TaskState,
    Trigger,
    next_state,
)
from claude_code_client._wire import responses

NEW, SUBMITTING, REJECTED = TaskState.NEW, TaskState.SUBMITTING, TaskState.REJECTED
RUNNING, DETACHED, CANCELLING, ENDED = (
    TaskState.RUNNING,
    TaskState.DETACHED,
    TaskState.CANCELLING,
    TaskState.ENDED,
)
SUBMIT, REJECT, CONFIRM = Trigger.SUBMIT, Trigger.REJECT, Trigger.CONFIRM
END, LEAVE, DETACH = Trigger.END, Trigger.LEAVE, Trigger.DETACH

LEGAL = {
    (NEW, SUBMIT): SUBMITTING,
    (NEW, LEAVE): NEW,
    (SUBMITTING, REJECT): REJECTED,
    (SUBMITTING, CONFIRM): RUNNING,
    (SUBMITTING, END): ENDED,
    (SUBMITTING, LEAVE): CANCELLING,
    (REJECTED, LEAVE): REJECTED,
    (RUNNING, CONFIRM): RUNNING,
    (RUNNING, END): ENDED,
    (RUNNING, LEAVE): CANCELLING,
    (RUNNING, DETACH): DETACHED,
    (DETACHED, CONFIRM): DETACHED,
    (DETACHED, END): ENDED,
    (DETACHED, LEAVE): DETACHED,
    (DETACHED, DETACH): DETACHED,
    (CANCELLING, CONFIRM): CANCELLING,
    (CANCELLING, END): ENDED,
    (CANCELLING, LEAVE): CANCELLING,
    (CANCELLING, DETACH): CANCELLING,
    (ENDED, CONFIRM): ENDED,
    (ENDED, END): ENDED,
    (ENDED, LEAVE): ENDED,
    (ENDED, DETACH): ENDED,
}
EVERYTHING = list(product(TaskState, Trigger))


def name(value: object) -> str:
    return value.name if isinstance(value, TaskState | Trigger) else str(value)


@pytest.mark.parametrize(("state", "trigger"), LEGAL, ids=name)
def test_legal_transitions(state: TaskState, trigger: Trigger) -> None:
    assert next_state(state, trigger) is LEGAL[state, trigger]


@pytest.mark.parametrize(("state", "trigger"), [pair for pair in EVERYTHING if pair not in LEGAL], ids=name)
def test_illegal_transitions_raise(state: TaskState, trigger: Trigger) -> None:
    with pytest.raises(IllegalTransitionError, match=f"{trigger.name} is not possible in state {state.name}"):
        next_state(state, trigger)


def test_a_caller_that_leaves_cancels_what_may_run() -> None:
    assert {state for state in TaskState if state.needs_cancel} == {SUBMITTING, RUNNING}
    for state in TaskState:
        assert (next_state(state, LEAVE) is not state) == state.needs_cancel


def test_a_lifecycle_reports_changes() -> None:
    lifecycle = TaskLifecycle()
    assert not lifecycle.apply(LEAVE)
    assert [lifecycle.apply(trigger) for trigger in (SUBMIT, CONFIRM, CONFIRM, DETACH, LEAVE, END, END)] == [
        True,
        True,
        False,
        True,
        False,
        True,
        False,
    ]
    assert lifecycle.state is ENDED


def test_an_illegal_transition_leaves_the_state() -> None:
    lifecycle = TaskLifecycle()
    with pytest.raises(IllegalTransitionError):
        lifecycle.apply(END)
    assert lifecycle.state is NEW


def test_of_many_threads_one_cancels() -> None:
    lifecycle, together = TaskLifecycle(), threading.Barrier(16, timeout=15)
    lifecycle.apply(SUBMIT)

    def leave(_: int) -> bool:
        together.wait()
        return lifecycle.apply(LEAVE)

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(leave, range(16))) == 1


def test_a_result_event_leaves_the_log_to_be_fetched() -> None:
    running = TaskSnapshot(responses.task(AgenticTaskResponse.from_dict(bodies.task("running"))))
    assert not running.is_final
    event = ResultEvent.from_dict(json.loads(bodies.result_event(1).partition(b"data: ")[2]))
    ended = running.with_result(event)
    assert ended.task.is_terminal
    assert not ended.is_final
    assert TaskSnapshot(responses.task(AgenticTaskResponse.from_dict(bodies.task("completed")))).is_final
