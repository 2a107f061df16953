"""The calls, as flows: which requests to send, what the answers mean. No I/O.

Each function checks its arguments when it is called, and gives a flow for a driver to carry out.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import attrs
from claude_code_api import models as generated
from claude_code_api.api.account import get_capabilities, get_usage, list_models
from claude_code_api.api.completions import create_completion, stream_completion
from claude_code_api.api.system import get_health
from claude_code_api.api.tasks import cancel_task, get_task
from claude_code_api.api.tasks import list_tasks as list_tasks_endpoint
from claude_code_api.models.create_completion_request import CreateCompletionRequest
from claude_code_api.models.create_task_request import CreateTaskRequest
from claude_code_api.models.task_status import TaskStatus
from claude_code_api.models.usage_period import UsagePeriod
from claude_code_api.types import UNSET, Unset

from . import _convert as convert
from . import _older
from ._arguments import completion_request, task_request
from ._config import Config, check_timeout
from ._estimate import completion_bound
from ._flow import Emit, Flow, Send
from ._follow import follow_completion
from ._shared import Shared
from ._tasks import TaskOrder, TaskRun
from .budget import Reservation
from .errors import APIConnectionError, ClaudeAPIError, ConfigurationError, InvalidRequestError
from .models import (
    AgenticTaskResponse,
    Capabilities,
    CompletionResponse,
    Health,
    Message,
    ModelInfo,
    UsageReport,
)

R = TypeVar("R")
T = TypeVar("T")

MAX_PAGE_SIZE: Final = 100
_KEY: Final = re.compile(r"[!-~]{1,255}")


@attrs.frozen(kw_only=True)
class Question:
    """A completion to ask for: its body, its key, and the seconds that the call may take."""

    body: CreateCompletionRequest = attrs.field(repr=False)
    idempotency_key: str
    timeout: float


def question(
    config: Config,
    *,
    prompt: str | None,
    messages: Sequence[Message] | None,
    model: str | None,
    max_tokens: int | None,
    temperature: float | None,
    top_p: float | None,
    stop: Sequence[str] | None,
    timeout: float | None,
    idempotency_key: str | None,
) -> Question:
    """Raises InvalidRequestError, naming the argument."""
    body = completion_request(
        prompt=prompt,
        messages=messages,
        model=model,
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        stop=stop,
    )
    return Question(body=body, idempotency_key=_key(idempotency_key), timeout=_seconds(timeout, config))


def complete(asked: Question, config: Config, shared: Shared) -> Flow[CompletionResponse]:
    request = create_completion._get_kwargs(body=asked.body, idempotency_key=asked.idempotency_key)
    deadline = time.monotonic() + asked.timeout
    bill = yield from _bill(asked, config, shared)
    try:
        response = yield Send(request=request, deadline=deadline)
        reply = convert.parse(
            create_completion, response, generated.CompletionResponse, convert.completion, adapt=_older.completion
        )
    except ClaudeAPIError as error:
        bill.failed(error)
        raise
    bill.paid(reply)
    return reply


def stream_complete(asked: Question, config: Config, shared: Shared) -> Flow[None]:
    request = stream_completion._get_kwargs(body=asked.body, idempotency_key=asked.idempotency_key)
    deadline = time.monotonic() + asked.timeout
    bill = yield from _bill(asked, config, shared)
    try:
        yield from follow_completion(request, deadline=deadline, on_reply=bill.paid)
    except ClaudeAPIError as error:
        bill.failed(error)
        raise


@attrs.frozen
class _Bill:
    """What budgets hold for one completion."""

    reservations: list[Reservation]

    def paid(self, reply: CompletionResponse) -> None:
        self._settle(reply.usage.cost)

    def failed(self, error: ClaudeAPIError) -> None:
        refused = isinstance(error, APIConnectionError) or (error.status_code or 0) >= 400
        # An answer that cannot be read, or that was cut, has been paid for.
        if refused and not error.outcome_unknown:
            self._settle(0.0)

    def _settle(self, cost: float) -> None:
        for reservation in self.reservations:
            reservation.settle(cost)


def _bill(asked: Question, config: Config, shared: Shared) -> Flow[_Bill]:
    if not shared.ledger.active:
        return _Bill([])
    if shared.models is None:
        shared.models = yield from models(config)
    return _Bill(shared.ledger.reserve(completion_bound(asked.body, shared.models)))


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
) -> TaskOrder:
    """Raises InvalidRequestError, naming the argument."""
    seconds = _seconds(timeout, config)
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
    return TaskOrder(body=body, idempotency_key=_key(idempotency_key), timeout=seconds)


def unfinished(shared: Shared) -> list[tuple[TaskRun, str | None]]:
    """The tasks that the journal has as unfinished, and their ids where they are known."""
    if shared.journal is None:
        raise ConfigurationError("This client has no journal: give it one with journal=path.", param="journal")
    return [
        (
            TaskRun(
                TaskOrder(
                    body=CreateTaskRequest.from_dict(entry.body), idempotency_key=entry.key, timeout=entry.timeout
                ),
                shared,
            ),
            entry.task_id,
        )
        for entry in shared.journal.unfinished()
    ]


def get_task_by_id(config: Config, task_id: str) -> Flow[AgenticTaskResponse]:
    _check_id(task_id)
    return _about(task_id, _get(config, task_id))


def _get(config: Config, task_id: str) -> Flow[AgenticTaskResponse]:
    response = yield Send(request=get_task._get_kwargs(task_id), deadline=_deadline(config))
    return _task(get_task, response)


def cancel_task_by_id(config: Config, task_id: str) -> Flow[AgenticTaskResponse]:
    _check_id(task_id)
    return _about(task_id, _cancel(config, task_id))


def _cancel(config: Config, task_id: str) -> Flow[AgenticTaskResponse]:
    # The contract makes it idempotent, so that it may be repeated without a key.
    response = yield Send(request=cancel_task._get_kwargs(task_id), deadline=_deadline(config), repeatable=True)
    return _task(cancel_task, response)


def list_tasks(config: Config, *, status: str | None, page_size: int | None) -> Flow[None]:
    """Emits the tasks, newest first; a page is asked for when the one before is used up."""
    if status is not None and (not isinstance(status, str) or not status.isprintable()):
        raise InvalidRequestError("status must be a task's status, a str.", param="status")
    if page_size is not None and (type(page_size) is not int or not 1 <= page_size <= MAX_PAGE_SIZE):
        raise InvalidRequestError(
            f"page_size must be an int from 1 to {MAX_PAGE_SIZE}, not {page_size!r}.", param="page_size"
        )
    return _list(config, UNSET if status is None else TaskStatus(status), UNSET if page_size is None else page_size)


def _list(config: Config, status: TaskStatus | Unset, limit: int | Unset) -> Flow[None]:
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
            raise convert.unexpected(response, "it names itself as the next page")
        cursor = page.next_cursor


def usage(config: Config, period: str) -> Flow[UsageReport]:
    if period not in tuple(UsagePeriod):
        raise InvalidRequestError(f"period must be one of {', '.join(UsagePeriod)}, not {period!r}.", param="period")
    return _read(config, get_usage, {"period": UsagePeriod(period)}, generated.UsageReport, convert.usage_report)


def models(config: Config) -> Flow[list[ModelInfo]]:
    return _read(config, list_models, {}, generated.ModelList, convert.models)


def capabilities(config: Config) -> Flow[Capabilities]:
    return _read(config, get_capabilities, {}, generated.Capabilities, convert.capabilities)


def health(config: Config) -> Flow[Health]:
    return _read(config, get_health, {}, generated.Health, convert.health)


def _read(
    config: Config, endpoint: Any, parameters: dict[str, Any], wanted: type[R], to_model: Callable[[R], T]
) -> Flow[T]:
    response = yield Send(request=endpoint._get_kwargs(**parameters), deadline=_deadline(config))
    return convert.parse(endpoint, response, wanted, to_model)


def _task(endpoint: Any, response: Any) -> AgenticTaskResponse:
    return convert.parse(endpoint, response, generated.AgenticTaskResponse, convert.task, adapt=_older.task)


def _about(task_id: str, flow: Flow[T]) -> Flow[T]:
    """The flow, with exceptions that name the task."""
    try:
        return (yield from flow)
    except ClaudeAPIError as error:
        error.task_id = task_id
        raise


def _deadline(config: Config) -> float:
    return time.monotonic() + config.timeout


def _seconds(timeout: float | None, config: Config) -> float:
    return config.timeout if timeout is None else check_timeout(timeout)


def _key(idempotency_key: str | None) -> str:
    """The key that makes all attempts of a call one call."""
    if idempotency_key is None:
        return str(uuid.uuid4())
    if not isinstance(idempotency_key, str) or not _KEY.fullmatch(idempotency_key):
        raise InvalidRequestError(
            "idempotency_key must be a str of 1 to 255 ASCII characters without spaces.", param="idempotency_key"
        )
    return idempotency_key


def _check_id(task_id: str) -> None:
    # It becomes a segment of the path.
    if not isinstance(task_id, str) or not task_id.isprintable() or task_id in ("", ".", ".."):
        raise InvalidRequestError("task_id must be a task's id, a str.", param="task_id")
