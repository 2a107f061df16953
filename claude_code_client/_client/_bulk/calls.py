"""Calls of a batch: the operation that runs one item."""

from __future__ import annotations

from typing import Any

from ..._config import Config
from ..._operations.client_state import ClientState
from ..._operations.effects import Operation
from ..._wire.extras import call_extras
from .items import Item


def operation(method: str, item: Item, config: Config, state: ClientState) -> Operation[Any]:
    """Return the operation of an item. Raises InvalidRequestError or ConfigurationError: nothing was sent."""
    fields = dict(item.parameters)
    extras = call_extras(fields.pop("extra_body", None), fields.pop("extra_headers", None))
    key = item.idempotency_key
    if method == "map_completions":
        from ..._operations.completions import complete, completion_request

        prompt, timeout = fields.pop("prompt", None), fields.pop("timeout", None)
        request = completion_request(config, fields, prompt=prompt, timeout=timeout, idempotency_key=key, extras=extras)
        return complete(request, config, state)
    from ..._operations.task_request import task_request
    from ..._operations.task_run import TaskRun

    stall_timeout = fields.pop("stall_timeout", None)
    task = task_request(config, fields, idempotency_key=key, stall_timeout=stall_timeout, extras=extras)
    return TaskRun(task, state).execute()
