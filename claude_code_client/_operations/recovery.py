"""Tasks of the journal that a process has not finished with. No I/O."""

from __future__ import annotations

from claude_code_api.models.create_task_request import CreateTaskRequest

from .._config import Config
from ..errors import ConfigurationError
from .client_state import ClientState
from .task_request import TaskRequest
from .task_run import TaskRun


def unfinished(config: Config, state: ClientState) -> list[tuple[TaskRun, str | None]]:
    """Return the unfinished tasks of the journal, each with its id, or None if the server never confirmed it.

    Raises ConfigurationError if the client has no journal, or cannot read it.
    """
    if state.journal is None:
        raise ConfigurationError("This client has no journal. Pass journal=path to it.", param="journal")
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
