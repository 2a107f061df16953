"""Routes for tasks and their artifacts."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Final

from claude_code_api import models
from starlette.responses import Response

from claude_code_common.pricing import FREE

from ...domain.entities import Task
from ...domain.errors import ApiError, invalid_request, not_found
from ...domain.timestamps import now
from ...runtime.json_logging import add_log_ids
from ...services.task_spec import build_task_spec
from ...storage.store import Store
from ..file_response import file_response
from ..prefer import Prefer
from ..request import RequestContext
from ..responses import encode_large, json_response
from ..serializers import serialize_task

_IDEMPOTENCY_SCOPE: Final = "task"
_PAGE_SIZE: Final = 20
_PAGE_CHARACTERS: Final = 2_000_000
"""Limit on the tasks of one page together, and another on their logs."""
_PAGE_LOG_ENTRIES: Final = 200
"""Limit on the entries of these logs together: each takes 20 to 40 µs."""
_LOG_CHARACTERS: Final = 64_000
"""Limit on the log of one task in a page."""
_MAX_CURSOR_DIGITS: Final = 18
_BLOCKING_STATUS: Final = {"timeout": 408, "cost_exceeded": 402}
"""HTTP statuses of a blocking request whose task reached a limit."""


async def create_task(context: RequestContext) -> Response:
    """Create a task and wait for its end, unless the request prefers otherwise."""
    runner = context.services.task_runner
    prefer = Prefer.parse(context.parameters.get("prefer"), context.services.settings.max_wait)
    task_id = _submit_or_find(context)
    location = {"Location": context.services.contract.url("get_task", task_id=task_id)}
    if not prefer.respond_async and prefer.wait is None:
        await runner.wait(task_id)
        task = find_task(context, task_id)
        if task.status in _BLOCKING_STATUS:
            raise _limit_error(task, location)
        if task.ended:
            return await _task_response(context, task)
        # The server stops, and the task waits for the next one.
        return await _task_response(context, task, 202, location)
    await runner.wait(task_id, prefer.wait or 0)
    task = find_task(context, task_id)
    applied = {"Preference-Applied": prefer.applied(asynchronous=not task.ended)}
    headers = {name: value for name, value in (location | applied).items() if value}
    return await _task_response(context, task, 200 if task.ended else 202, headers)


async def get_task(context: RequestContext) -> Response:
    """Return a task, with ``Prefer: wait=N`` after waiting for its end."""
    task = find_task(context, context.parameters["task_id"])
    prefer = Prefer.parse(context.parameters.get("prefer"), context.services.settings.max_wait)
    if prefer.wait is None:
        return await _task_response(context, task)
    await context.services.task_runner.wait(task.id, prefer.wait)
    headers = {"Preference-Applied": prefer.applied()}
    return await _task_response(context, find_task(context, task.id), headers=headers)


async def list_tasks(context: RequestContext) -> Response:
    """Return one page of tasks, newest first."""
    store = context.services.store
    cursor = context.parameters.get("cursor")
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _MAX_CURSOR_DIGITS):
        raise invalid_request("is not a cursor from this server.", context.operation.parameter_name("cursor"))
    limit = context.parameters.get("limit", _PAGE_SIZE)
    status = context.parameters.get("status")
    before = None if cursor is None else int(cursor)

    def read_page() -> bytes:
        page, next_cursor = store.list_tasks(
            context.owner, limit, status=status, before=before, max_characters=_PAGE_CHARACTERS
        )
        share = max(1, len(page))
        limits = max(1, _PAGE_LOG_ENTRIES // share), min(_LOG_CHARACTERS, _PAGE_CHARACTERS // share)
        return encode_large(
            models.TaskList(
                data=[_listed_task(store, task, *limits) for task in page],
                next_cursor=None if next_cursor is None else str(next_cursor),
            )
        )

    return json_response(await store.in_thread(read_page))


async def cancel_task(context: RequestContext) -> Response:
    """Cancel a task and return it once it has ended."""
    task = find_task(context, context.parameters["task_id"])
    context.services.task_runner.cancel(task.id)
    await context.services.task_runner.wait(task.id)
    return await _task_response(context, find_task(context, task.id))


async def download_artifact(context: RequestContext) -> Response:
    """Return an artifact's file, or a range of it."""
    task = find_task(context, context.parameters["task_id"])
    parameters = context.parameters
    return await file_response(
        task,
        parameters["artifact_id"],
        parameters.get("range"),
        parameters.get("if_range"),
        context.services.patches,
    )


def find_task(context: RequestContext, task_id: str) -> Task:
    """Return a task of the caller's key. Raise ApiError 404."""
    task = context.services.store.get_task(task_id, context.owner)
    if task is None:
        raise not_found("task")
    add_log_ids(task_id=task.id)
    return task


def _submit_or_find(context: RequestContext) -> str:
    """Return the ID of a new task, or of the task that an earlier request with the same key created."""
    key = context.idempotency_key(_IDEMPOTENCY_SCOPE)
    stored = context.services.store.find_response(key) if key else None
    if key and stored:
        key.check_fingerprint(stored.fingerprint)
        return stored.value
    request = models.CreateTaskRequest.from_dict(context.body)
    services = context.services
    services.disk_guard.check()
    spec = build_task_spec(
        request,
        context.operation,
        f"task_{uuid.uuid4().hex}",
        services.settings,
        services.tariff,
        services.agent_library,
        context.caller.permissions,
    )
    services.admission.admit_task(context.caller, free=services.tariff.price(spec.model) == FREE)
    task = Task(
        id=spec.task_id,
        owner=context.owner,
        description=spec.description,
        model=spec.model,
        working_directory=str(spec.working_directory),
        created_at=now(),
        warnings=context.unknown_field_warnings(),
    )
    services.task_runner.submit(task, spec, key)
    return task.id


async def _task_response(
    context: RequestContext, task: Task, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    store = context.services.store
    body = await store.in_thread(lambda: encode_large(serialize_task(task, store.list_events(task.id))))
    return json_response(body, status, headers)


def _listed_task(store: Store, task: Task, entries: int, characters: int) -> models.AgenticTaskResponse:
    events, complete = store.read_log(task.id, entries, characters)
    return serialize_task(task, events, truncated=not complete)


def _limit_error(task: Task, headers: Mapping[str, str]) -> ApiError:
    status = _BLOCKING_STATUS[task.status]
    if task.error is None:
        return ApiError(status, "server_error", "The task failed.", headers=headers)
    cost = task.error.estimated_cost
    return ApiError(status, task.error.type, task.error.message, estimated_cost=cost, headers=headers)
