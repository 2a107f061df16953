"""Reads, and calls about a task by its id, as operations: which requests to send, what the answers mean. No I/O.

Each function checks its arguments when it is called, and gives a operation for a driver to carry out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from claude_code_api import models as generated
from claude_code_api.api.account import get_capabilities, get_usage, list_models
from claude_code_api.api.system import get_health
from claude_code_api.api.tasks import cancel_task, get_task
from claude_code_api.api.tasks import list_tasks as list_tasks_endpoint
from claude_code_api.models.task_status import TaskStatus
from claude_code_api.models.usage_period import UsagePeriod
from claude_code_api.types import UNSET, Unset

from .._config import Config
from .._wire import legacy as _older
from .._wire import responses as convert
from .._wire.requests import check_id
from ..errors import (
    ClaudeAPIError,
    InvalidRequestError,
)
from ..models import (
    AgenticTaskResponse,
    Capabilities,
    Health,
    ModelInfo,
    UsageReport,
)
from .effects import Emit, Operation, Send

R = TypeVar("R")
T = TypeVar("T")

MAX_PAGE_SIZE: Final = 100


def get_task_by_id(config: Config, task_id: str) -> Operation[AgenticTaskResponse]:
    check_id("task_id", task_id)
    return _about(task_id, _get(config, task_id))


def _get(config: Config, task_id: str) -> Operation[AgenticTaskResponse]:
    response = yield Send(request=get_task._get_kwargs(task_id), deadline=_deadline(config))
    return _task(get_task, response)


def cancel_task_by_id(config: Config, task_id: str) -> Operation[AgenticTaskResponse]:
    check_id("task_id", task_id)
    return _about(task_id, cancel_by(task_id, _deadline(config)))


def cancel_by(task_id: str, deadline: float) -> Operation[AgenticTaskResponse]:
    """Cancel a task before ``deadline`` (monotonic seconds)."""
    # The contract makes it idempotent, so that it may be repeated without a key.
    response = yield Send(request=cancel_task._get_kwargs(task_id), deadline=deadline, repeatable=True)
    return _task(cancel_task, response)


def list_tasks(config: Config, *, status: str | None, page_size: int | None) -> Operation[None]:
    """Emits the tasks, newest first; a page is asked for when the one before is used up."""
    if status is not None and (not isinstance(status, str) or not status.isprintable()):
        raise InvalidRequestError("status must be a task's status, a str.", param="status")
    if page_size is not None and (type(page_size) is not int or not 1 <= page_size <= MAX_PAGE_SIZE):
        raise InvalidRequestError(
            f"page_size must be an int from 1 to {MAX_PAGE_SIZE}, not {page_size!r}.", param="page_size"
        )
    return _list(config, UNSET if status is None else TaskStatus(status), UNSET if page_size is None else page_size)


def _list(config: Config, status: TaskStatus | Unset, limit: int | Unset) -> Operation[None]:
    cursor: str | Unset | None = UNSET
    while cursor is not None:
        request = list_tasks_endpoint._get_kwargs(status=status, limit=limit, cursor=cursor)
        response = yield Send(request=request, deadline=_deadline(config))
        page = convert.parse(
            list_tasks_endpoint, response, generated.TaskList, convert.task_page, adapt=_older.task_list
        )
        for task in page.tasks:
            yield Emit(task)
        if page.next_cursor == cursor:
            raise convert.unexpected_response(response, "it names itself as the next page")
        cursor = page.next_cursor


def usage(config: Config, period: str) -> Operation[UsageReport]:
    if period not in tuple(UsagePeriod):
        raise InvalidRequestError(f"period must be one of {', '.join(UsagePeriod)}, not {period!r}.", param="period")
    return _read(config, get_usage, {"period": UsagePeriod(period)}, generated.UsageReport, convert.usage_report)


def models(config: Config) -> Operation[list[ModelInfo]]:
    return _read(config, list_models, {}, generated.ModelList, convert.models)


def capabilities(config: Config) -> Operation[Capabilities]:
    return _read(config, get_capabilities, {}, generated.Capabilities, convert.capabilities)


def health(config: Config) -> Operation[Health]:
    return _read(config, get_health, {}, generated.Health, convert.health)


def _read(
    config: Config, endpoint: Any, parameters: dict[str, Any], wanted: type[R], to_model: Callable[[R], T]
) -> Operation[T]:
    response = yield Send(request=endpoint._get_kwargs(**parameters), deadline=_deadline(config))
    return convert.parse(endpoint, response, wanted, to_model)


def _task(endpoint: Any, response: Any) -> AgenticTaskResponse:
    return convert.parse(endpoint, response, generated.AgenticTaskResponse, convert.task, adapt=_older.task)


def _about(task_id: str, operation: Operation[T]) -> Operation[T]:
    """The operation, with exceptions that name the task."""
    try:
        return (yield from operation)
    except ClaudeAPIError as error:
        error.task_id = task_id
        raise


def _deadline(config: Config) -> float:
    return time.monotonic() + config.timeout
