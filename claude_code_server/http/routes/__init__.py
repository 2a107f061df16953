"""Handlers of the contract's operations, by operation ID. Other operations get a 501."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.responses import Response

from ..request import RequestContext
from . import account, completions, task_events, tasks

Handler = Callable[[RequestContext], Awaitable[Response]]

HANDLERS: Final[Mapping[str, Handler]] = {
    handler.__name__: handler
    for handler in (
        completions.create_completion,
        completions.stream_completion,
        tasks.create_task,
        tasks.list_tasks,
        tasks.get_task,
        tasks.cancel_task,
        tasks.download_artifact,
        task_events.stream_task_events,
        account.list_models,
        account.get_usage,
        account.get_capabilities,
        account.get_health,
    )
}
