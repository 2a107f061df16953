"""A task to submit."""

from __future__ import annotations

from typing import Final

import attrs
from claude_code_api.api.tasks import create_task
from claude_code_api.models.create_task_request import CreateTaskRequest

from .._config import DEFAULT_STREAM_READ_TIMEOUT
from .effects import Request

DEFAULT_MAX_COST: Final = 1.0
"""USD; what the contract gives a task that names no maximum."""


@attrs.frozen(kw_only=True)
class TaskRequest:
    """A task to submit: its body, its key, and the seconds that the call may take."""

    body: CreateTaskRequest = attrs.field(repr=False)
    idempotency_key: str
    timeout: float
    stall_timeout: float | None = None
    """Seconds without an event after which the task counts as stalled."""
    read_timeout: float = DEFAULT_STREAM_READ_TIMEOUT
    """Seconds without a byte after which a stream counts as dead."""

    def submission(self) -> Request:
        """Answered as soon as the server has the task (RFC 7240, 4.1)."""
        return create_task._get_kwargs(body=self.body, idempotency_key=self.idempotency_key, prefer="respond-async")

    @property
    def max_cost(self) -> float:
        """USD that it may cost."""
        asked = self.body.max_cost
        return asked if isinstance(asked, int | float) else DEFAULT_MAX_COST
