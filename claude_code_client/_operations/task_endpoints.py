"""Requests about one task, each with its response parsed. No I/O."""

from __future__ import annotations

from typing import Any

from claude_code_api import models as generated
from claude_code_api.api.tasks import cancel_task, create_task, get_task
from claude_code_api.types import UNSET

from .._wire import legacy, responses
from .._wire.response_headers import with_headers
from ..models import AgenticTaskResponse
from .effects import Delivery, Operation, Request, Send
from .task_request import TaskRequest


def submit(request: TaskRequest, deadline: float, delivery: Delivery) -> Operation[AgenticTaskResponse]:
    """Submit a task before ``deadline`` (monotonic seconds); the server responds as soon as it has stored the task."""
    # RFC 7240, 4.1
    sent = create_task._get_kwargs(body=request.body, idempotency_key=request.idempotency_key, prefer="respond-async")
    sent["headers"].update(request.headers)
    return _send(create_task, sent, deadline, delivery=delivery)


def get(task_id: str, deadline: float, *, wait: int | None = None) -> Operation[AgenticTaskResponse]:
    """Get a task; the server may hold its response for ``wait`` seconds until the task ends."""
    # RFC 7240, 4.3
    prefer = UNSET if wait is None else f"wait={wait}"
    return _send(get_task, get_task._get_kwargs(task_id, prefer=prefer), deadline)


def cancel(task_id: str, deadline: float) -> Operation[AgenticTaskResponse]:
    """Cancel a task; the server responds once the task has ended."""
    # The contract makes it idempotent, so it may be repeated without a key.
    return _send(cancel_task, cancel_task._get_kwargs(task_id), deadline, repeatable=True)


def _send(
    endpoint: Any,
    request: Request,
    deadline: float,
    *,
    repeatable: bool | None = None,
    delivery: Delivery | None = None,
) -> Operation[AgenticTaskResponse]:
    response = yield Send(request=request, deadline=deadline, repeatable=repeatable, delivery=delivery)
    task = responses.parse(endpoint, response, generated.AgenticTaskResponse, responses.task, adapt=legacy.task)
    return with_headers(task, response.headers)
