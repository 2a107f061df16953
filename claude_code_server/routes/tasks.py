"""Agentic tasks, their events and their artifacts."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Self

from claude_code_api import models
from starlette.responses import Response

from claude_code_server import artifacts
from claude_code_server.call import Call
from claude_code_server.errors import ApiError, invalid, not_found, shutting_down
from claude_code_server.event_stream import PING, encode, event_stream
from claude_code_server.generations import check_fingerprint
from claude_code_server.orders import order_of
from claude_code_server.prefer import Prefer
from claude_code_server.records import Task, now
from claude_code_server.runner import ClosedError
from claude_code_server.services import Services
from claude_code_server.store import Store
from claude_code_server.wire import event_data, task_response

from .answers import answer

_SCOPE = "task"
_PAGE = 20
_EVENTS_AT_ONCE = 100
_CHARACTERS_AT_ONCE = 256 * 1024
_BLOCKING_STATUS = {"timeout": 408, "cost_exceeded": 402}


async def create_task(call: Call) -> Response:
    runner = call.services.runner
    prefer = Prefer.parse(call.parameters.get("prefer"), call.services.settings.max_wait)
    task_id = _submitted(call)
    location = {"Location": call.services.contract.url("get_task", task_id=task_id)}
    if not prefer.respond_async and prefer.wait is None:
        await runner.wait(task_id)
        task = _task(call, task_id)
        if task.status in _BLOCKING_STATUS:
            raise _as_error(task, location)
        return _answer(call.services.store, task)
    ended = await runner.wait(task_id, prefer.wait or 0)
    applied = {"Preference-Applied": prefer.applied(asynchronous=not ended)}
    headers = {name: value for name, value in (location | applied).items() if value}
    return _answer(call.services.store, _task(call, task_id), 200 if ended else 202, headers)


async def get_task(call: Call) -> Response:
    task = _task(call, call.parameters["task_id"])
    prefer = Prefer.parse(call.parameters.get("prefer"), call.services.settings.max_wait)
    if prefer.wait is None:
        return _answer(call.services.store, task)
    await call.services.runner.wait(task.id, prefer.wait)
    headers = {"Preference-Applied": prefer.applied()}
    return _answer(call.services.store, _task(call, task.id), headers=headers)


async def list_tasks(call: Call) -> Response:
    store = call.services.store
    cursor = call.parameters.get("cursor")
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise invalid("is not a cursor that this server gave.", call.operation.parameter("cursor"))
    page, following = store.tasks(
        call.key,
        call.parameters.get("limit", _PAGE),
        status=call.parameters.get("status"),
        before=None if cursor is None else int(cursor),
    )
    return answer(
        models.TaskList(
            data=[task_response(task, store.events(task.id)) for task in page],
            next_cursor=None if following is None else str(following),
        )
    )


async def cancel_task(call: Call) -> Response:
    task = _task(call, call.parameters["task_id"])
    call.services.runner.cancel(task.id)
    await call.services.runner.wait(task.id)
    return _answer(call.services.store, _task(call, task.id))


async def stream_task_events(call: Call) -> Response:
    task = _task(call, call.parameters["task_id"])
    after = int(call.parameters.get("last_event_id", 0))
    if after > call.services.store.last_seq(task.id):
        raise invalid("is the number of an event that has not happened.", call.operation.parameter("last_event_id"))
    return event_stream(_events(call.services, task, after))


async def download_artifact(call: Call) -> Response:
    task = _task(call, call.parameters["task_id"])
    parameters = call.parameters
    return await artifacts.download(
        task, parameters["artifact_id"], parameters.get("range"), parameters.get("if_range")
    )


def _submitted(call: Call) -> str:
    """The id of the task that is asked for: a new one, or the one that the Idempotency-Key stands for."""
    claim = call.claim(_SCOPE)
    kept = call.services.store.kept(claim) if claim else None
    if claim and kept:
        check_fingerprint(claim, kept.fingerprint)
        return kept.value
    request = models.CreateTaskRequest.from_dict(call.body)
    order = order_of(request, call.operation, f"task_{uuid.uuid4().hex}", call.services.settings)
    task = Task(
        id=order.task_id,
        key=call.key,
        description=order.description,
        model=order.model,
        working_directory=str(order.working_directory),
        created_at=now(),
    )
    try:
        call.services.runner.submit(task, order, claim)
    except ClosedError:
        raise shutting_down() from None
    return task.id


def _task(call: Call, task_id: str) -> Task:
    task = call.services.store.task(task_id, call.key)
    if task is None:
        raise not_found("such task")
    return task


def _answer(store: Store, task: Task, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return answer(task_response(task, store.events(task.id)), status, headers)


def _as_error(task: Task, headers: dict[str, str]) -> ApiError:
    status = _BLOCKING_STATUS[task.status]
    if task.failure is None:
        return ApiError(status, "server_error", "The task failed.", headers=headers)
    cost = task.failure.estimated_cost
    return ApiError(status, task.failure.type, task.failure.message, estimated_cost=cost, headers=headers)


async def _events(services: Services, task: Task, after: int) -> AsyncIterator[bytes]:
    """Read from the store again and again, so that a slow follower costs no more memory than one batch."""
    runner, store, ping = services.runner, services.store, services.settings.ping_interval
    while True:
        batch = _Batch.after(after, task, store)
        if batch is not None:
            yield batch.data
            if batch.ends:
                return
            after = batch.last
            del batch  # Nothing of it is kept while there is no news.
            # Sending to a follower who keeps up never waits, and so would keep the loop from everybody else.
            await asyncio.sleep(0)
        elif not runner.is_live(task.id):
            return
        elif not await runner.wait_for_news(task.id, after, ping):
            yield PING


@dataclass(frozen=True, slots=True)
class _Batch:
    """Some events as they go out; ``last`` is the number of the last one, with which the task may end."""

    data: bytes
    last: int
    ends: bool

    @classmethod
    def after(cls, number: int, task: Task, store: Store) -> Self | None:
        events = store.events(task.id, number, _EVENTS_AT_ONCE, _CHARACTERS_AT_ONCE)
        if not events:
            return None
        last = events[-1]
        if last.terminal:
            task = store.task(task.id) or task
        data = b"".join(encode(event.type, event_data(event, task), event.seq) for event in events)
        return cls(data, last.seq, last.terminal)
