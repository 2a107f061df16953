"""Task requests: what a call submits, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from claude_code_api.defaults import CREATE_TASK_REQUEST_MAX_COST, CREATE_TASK_REQUEST_TIMEOUT
from claude_code_api.models.create_task_request import CreateTaskRequest

from .._config import DEFAULT_STREAM_READ_TIMEOUT, Config
from .._wire.extras import Extras
from .._wire.requests import call_key, call_timeout, check_waiting, request_body


@attrs.frozen(kw_only=True)
class TaskRequest:
    """A task to submit, and the options of the call that submits it."""

    body: CreateTaskRequest = attrs.field(repr=False)
    idempotency_key: str
    timeout: float
    """Seconds that the task may take."""
    stall_timeout: float | None = None
    """Seconds without an event after which the task counts as stalled; None to wait on."""
    read_timeout: float = DEFAULT_STREAM_READ_TIMEOUT
    """Seconds without a byte after which a connection counts as dead."""
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Headers to add to the submit. The journal does not keep them: they may be secrets."""

    @property
    def max_cost(self) -> float:
        """USD that the task may cost."""
        limit = self.body.max_cost
        return limit if isinstance(limit, int | float) else CREATE_TASK_REQUEST_MAX_COST


def task_request(
    config: Config,
    fields: Mapping[str, Any],
    *,
    idempotency_key: str | None = None,
    stall_timeout: float | None = None,
    extras: Extras | None = None,
) -> TaskRequest:
    """Return the request of a task with these fields, named as the attributes of CreateTaskRequest.

    None leaves a field out; a ``timeout`` left out is the client's. If that is the contract's default, it is not sent:
    the key may not be allowed as much, and the server then takes less. Raises InvalidRequestError or
    ConfigurationError, naming the parameter.
    """
    check_waiting(None, stall_timeout)
    timeout = call_timeout(fields.get("timeout"), config)
    chosen = fields.get("timeout") is not None or timeout != CREATE_TASK_REQUEST_TIMEOUT
    body = request_body(CreateTaskRequest, {**fields, "timeout": timeout if chosen else None})
    extras = extras or Extras()
    extras.add_to(body)
    return TaskRequest(
        body=body,
        headers=extras.headers,
        idempotency_key=call_key(idempotency_key),
        timeout=timeout,
        stall_timeout=stall_timeout,
        read_timeout=config.stream_read_timeout,
    )
