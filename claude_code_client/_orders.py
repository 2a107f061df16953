"""Tasks to submit, to find again and to follow, as flows. No I/O.

Each function checks its arguments when it is called, and gives a flow for a driver to carry out.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from claude_code_api.models.create_task_request import CreateTaskRequest

from ._arguments import call_key, call_timeout, check_id, check_waiting, task_request
from ._calls import cancel_by
from ._config import Config
from ._event_reader import error_of
from ._flow import Elsewhere, Emit, Flow
from ._follow import Watch, follow_task
from ._order import TaskOrder
from ._position import Position
from ._shared import Shared
from ._tasks import STOP_TIMEOUT, TaskRun
from .errors import ClaudeAPIError, ConfigurationError, TaskStalledError, from_detail


def task_order(
    config: Config,
    *,
    description: str,
    allow_tools: Sequence[str] | None,
    allow_agents: Sequence[str] | None,
    allow_skills: Sequence[str] | None,
    timeout: float | None,
    max_cost: float | None,
    context: Mapping[str, Any] | None,
    model: str | None,
    working_directory: str | None,
    idempotency_key: str | None,
    stall_timeout: float | None = None,
) -> TaskOrder:
    """Raises InvalidRequestError, naming the argument."""
    check_waiting(None, stall_timeout)
    seconds = call_timeout(timeout, config)
    body = task_request(
        description=description,
        allow_tools=allow_tools,
        allow_agents=allow_agents,
        allow_skills=allow_skills,
        timeout=seconds,
        max_cost=max_cost,
        context=context,
        model=model,
        working_directory=working_directory,
    )
    return TaskOrder(
        body=body,
        idempotency_key=call_key(idempotency_key),
        timeout=seconds,
        stall_timeout=stall_timeout,
        read_timeout=config.stream_read_timeout,
    )


def stream_events(
    config: Config, task_id: str, position: Position, *, timeout: float | None, stall_timeout: float | None
) -> Flow[None]:
    """Emits a task's events after ``position``, the ``result`` event last. The task goes on if the caller leaves."""
    check_id("task_id", task_id)
    check_waiting(None, stall_timeout)
    position.task_id = task_id
    watch = Watch(
        deadline=time.monotonic() + call_timeout(timeout, config),
        read_timeout=config.stream_read_timeout,
        stall_timeout=stall_timeout,
        has_answered=False,
    )
    return _stream_events(config, task_id, position, watch)


def _stream_events(config: Config, task_id: str, position: Position, watch: Watch) -> Flow[None]:
    try:
        last = yield from follow_task(task_id, watch, position)
        if last.event["type"] == "error":
            raise from_detail(error_of(last.event))
        if not last.seen:
            yield Emit(last.event)
    except ClaudeAPIError as error:
        error.task_id, error.last_event_id = task_id, position.last_event_id
        if isinstance(error, TaskStalledError):
            yield Elsewhere(cancel_by(task_id, time.monotonic() + STOP_TIMEOUT))
        raise


def unfinished(config: Config, shared: Shared) -> list[tuple[TaskRun, str | None]]:
    """The tasks that the journal has as unfinished, and their ids where they are known."""
    if shared.journal is None:
        raise ConfigurationError("This client has no journal: give it one with journal=path.", param="journal")
    return [
        (
            TaskRun(
                TaskOrder(
                    body=CreateTaskRequest.from_dict(entry.body),
                    idempotency_key=entry.key,
                    timeout=entry.timeout,
                    read_timeout=config.stream_read_timeout,
                ),
                shared,
            ),
            entry.task_id,
        )
        for entry in shared.journal.unfinished()
    ]
