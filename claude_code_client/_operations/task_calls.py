"""Tasks to submit, to find again and to follow, as operations. No I/O.

Each function checks its arguments when it is called, and gives a operation for a driver to carry out.
"""

from __future__ import annotations

import time

from claude_code_api.models.create_task_request import CreateTaskRequest

from .._config import Config
from .._wire.error_bodies import from_detail
from .._wire.event_cursor import EventCursor
from .._wire.requests import call_timeout, check_id, check_waiting
from ..errors import ClaudeAPIError, ConfigurationError, TaskStalledError
from .client_state import ClientState
from .effects import Emit, Operation, Spawn
from .event_stream import error_of
from .task_events import StreamTimeouts, follow_task
from .task_request import TaskRequest
from .task_run import STOP_TIMEOUT, TaskRun
from .tasks import cancel_by


def stream_events(
    config: Config, task_id: str, cursor: EventCursor, *, timeout: float | None, stall_timeout: float | None
) -> Operation[None]:
    """Emits a task's events after ``cursor``, the ``result`` event last. The task goes on if the caller leaves."""
    check_id("task_id", task_id)
    check_waiting(None, stall_timeout)
    cursor.task_id = task_id
    watch = StreamTimeouts(
        deadline=time.monotonic() + call_timeout(timeout, config),
        read_timeout=config.stream_read_timeout,
        stall_timeout=stall_timeout,
        has_answered=False,
    )
    return _stream_events(config, task_id, cursor, watch)


def _stream_events(config: Config, task_id: str, cursor: EventCursor, watch: StreamTimeouts) -> Operation[None]:
    try:
        last = yield from follow_task(task_id, watch, cursor)
        if last.event["type"] == "error":
            raise from_detail(error_of(last.event))
        if not last.seen:
            yield Emit(last.event)
    except ClaudeAPIError as error:
        error.task_id, error.last_event_id = task_id, cursor.last_event_id
        if isinstance(error, TaskStalledError):
            yield Spawn(cancel_by(task_id, time.monotonic() + STOP_TIMEOUT))
        raise


def unfinished(config: Config, state: ClientState) -> list[tuple[TaskRun, str | None]]:
    """The tasks that the journal has as unfinished, and their ids where they are known."""
    if state.journal is None:
        raise ConfigurationError("This client has no journal: give it one with journal=path.", param="journal")
    return [
        (
            TaskRun(
                TaskRequest(
                    body=CreateTaskRequest.from_dict(entry.body),
                    idempotency_key=entry.key,
                    timeout=entry.timeout,
                    read_timeout=config.stream_read_timeout,
                ),
                state,
            ),
            entry.task_id,
        )
        for entry in state.journal.unfinished()
    ]
