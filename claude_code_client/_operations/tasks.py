"""Calls about tasks by their ids. No I/O.

Each function checks its arguments at once and returns an operation.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, Final

from claude_code_api import models as generated
from claude_code_api.api.tasks import list_tasks as list_tasks_endpoint
from claude_code_api.models.task_status import TaskStatus
from claude_code_api.types import UNSET, Unset

from .._config import Config, shown
from .._wire import legacy, responses
from .._wire.error_bodies import from_detail
from .._wire.event_cursor import EventCursor
from .._wire.field_checks import is_amount
from .._wire.requests import call_timeout, check_id, check_waiting
from ..errors import ClaudeAPIError, InvalidRequestError, TaskStalledError
from ..models import AgenticTaskResponse
from . import task_endpoints
from .client_state import ClientState
from .effects import Emit, Operation, Send, Spawn
from .event_stream import error_detail
from .task_deadlines import cancel_deadline
from .task_errors import about_task
from .task_events import StreamTimeouts, follow_task

MAX_PAGE_SIZE: Final = 100


def get_task(config: Config, state: ClientState, task_id: str) -> Operation[AgenticTaskResponse]:
    """Get a task in its current state."""
    check_id("task_id", task_id)
    return about_task(_settled(task_endpoints.get(task_id, _deadline(config)), state), task_id)


def cancel_task(config: Config, state: ClientState, task_id: str) -> Operation[AgenticTaskResponse]:
    """Cancel a task and wait for its end."""
    check_id("task_id", task_id)
    return about_task(_settled(task_endpoints.cancel(task_id, _deadline(config)), state), task_id)


def stream_events(
    config: Config,
    state: ClientState,
    task_id: str,
    cursor: EventCursor,
    *,
    timeout: float | None,
    stall_timeout: float | None,
) -> Operation[None]:
    """Emit a task's events after ``cursor``, the terminal event last. The task goes on if the caller leaves.

    The timeout counts from the first step.
    """
    check_id("task_id", task_id)
    check_waiting(None, stall_timeout)
    cursor.task_id = task_id
    seconds = call_timeout(timeout, config)
    return about_task(_stream_events(config, state, task_id, cursor, seconds, stall_timeout), task_id, cursor)


def _stream_events(
    config: Config,
    state: ClientState,
    task_id: str,
    cursor: EventCursor,
    timeout: float,
    stall_timeout: float | None,
) -> Operation[None]:
    timeouts = StreamTimeouts(
        deadline=time.monotonic() + timeout,
        read_timeout=config.stream_read_timeout,
        stall_timeout=stall_timeout,
    )
    try:
        terminal = yield from follow_task(task_id, timeouts, cursor, is_reachable=False)
    except TaskStalledError:
        yield Spawn(_settled(task_endpoints.cancel(task_id, cancel_deadline(time.monotonic())), state))
        raise
    if task_id in state.task_costs:
        yield from _settle(config, state, task_id, terminal.event)
    if terminal.event["type"] == "error":
        raise from_detail(error_detail(terminal.event))
    if not terminal.is_duplicate:
        yield Emit(terminal.event, task_id)


def _settled(request: Operation[AgenticTaskResponse], state: ClientState) -> Operation[AgenticTaskResponse]:
    """Send a request about a task, and settle the task's cost if the task has ended."""
    task = yield from request
    if task.is_terminal:
        state.settle_task(task.id, task.usage.cost)
    return task


def _settle(config: Config, state: ClientState, task_id: str, event: dict[str, Any]) -> Operation[None]:
    """Settle the cost of a task that has ended with this event."""
    usage = event.get("usage")
    cost = usage.get("total_cost") if isinstance(usage, dict) else None
    if cost is not None and is_amount(cost):
        state.settle_task(task_id, cost)
        return
    # An ``error`` event has no usage. Without the task, its cost stays unknown.
    with suppress(ClaudeAPIError):
        yield from _settled(task_endpoints.get(task_id, _deadline(config)), state)


def list_tasks(config: Config, *, status: str | None, page_size: int | None) -> Operation[None]:
    """Emit the tasks, newest first; each page is requested once the previous one is used up."""
    if status is not None:
        check_id("status", status, "the status of a task, a str")
    if page_size is not None and (type(page_size) is not int or not 1 <= page_size <= MAX_PAGE_SIZE):
        raise InvalidRequestError(
            f"page_size must be an int from 1 to {MAX_PAGE_SIZE}, not {shown(page_size)}.", param="page_size"
        )
    return _list(config, UNSET if status is None else TaskStatus(status), UNSET if page_size is None else page_size)


def _list(config: Config, status: TaskStatus | Unset, limit: int | Unset) -> Operation[None]:
    cursor: str | Unset | None = UNSET
    while cursor is not None:
        request = list_tasks_endpoint._get_kwargs(status=status, limit=limit, cursor=cursor)
        response = yield Send(request=request, deadline=_deadline(config))
        page = responses.parse(
            list_tasks_endpoint, response, generated.TaskList, responses.task_page, adapt=legacy.task_list
        )
        for task in page.tasks:
            yield Emit(task)
        if page.next_cursor == cursor:
            raise responses.unexpected_response(response, "it names itself as the next page")
        cursor = page.next_cursor


def _deadline(config: Config) -> float:
    return time.monotonic() + config.timeout
