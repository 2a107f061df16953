"""Tasks of the journal that a process has not finished with. No I/O."""

from __future__ import annotations

import logging
import time
from functools import partial

from claude_code_api.models.create_task_request import CreateTaskRequest

from .._config import Config
from .._wire.responses import PARSE_ERRORS
from ..errors import ConfigurationError, CostExceededError
from .client_state import ClientState
from .cost import ReservedCost
from .effects import Operation, RunBlocking
from .task_request import TaskRequest
from .task_run import TaskRun

logger = logging.getLogger("claude_code_client")


def recover(config: Config, state: ClientState) -> Operation[list[TaskRun]]:
    """Find the unfinished tasks of the journal again; return those that the server has.

    If it fails, the next call finds them all once more, and reserves nothing twice.
    """
    deadline = time.monotonic() + config.timeout
    found: list[TaskRun] = []
    unfinished: list[tuple[TaskRun, str | None]] = yield RunBlocking(partial(_unfinished, config, state))
    for run, task_id in unfinished:
        if (yield from run.tracker.recover(task_id, deadline)):
            found.append(run)
    _reserve(found)
    for run in found:
        yield from run.tracker.settle_recovered()
    return found


def _reserve(runs: list[TaskRun]) -> None:
    """Reserve the costs of all tasks, or of none. Raises CostExceededError."""
    added: list[ReservedCost] = []
    try:
        for run in runs:
            added.append(run.tracker.reserve_recovered())  # noqa: PERF401 (a failure must find those made so far)
    except CostExceededError as error:
        for cost in added:
            cost.release()
        error.message = (
            f"A task of the journal still runs and may cost ${error.estimated_cost:.4f}, which an open budget does not "
            "allow. The journal is unchanged: call recover() again with a larger budget, or outside of it."
        )
        raise


def _unfinished(config: Config, state: ClientState) -> list[tuple[TaskRun, str | None]]:
    """Return the unfinished tasks of the journal, each with its id, or None if the server never confirmed it.

    Raises ConfigurationError if the client has no journal, or cannot read it.
    """
    if state.journal is None:
        raise ConfigurationError("This client has no journal. Pass journal=path to it.", param="journal")
    runs = []
    # Before the journal is read: another call may settle a cost, and then take its task out of the journal.
    costs = dict(state.open_costs)
    for entry in state.journal.unfinished():
        try:
            body = CreateTaskRequest.from_dict(entry.body)
            body.to_dict()
        except PARSE_ERRORS:
            logger.warning("The journal's entry %s is damaged: its task cannot be recovered.", entry.key)
            continue
        request = TaskRequest(
            body=body, idempotency_key=entry.key, timeout=entry.timeout, read_timeout=config.stream_read_timeout
        )
        runs.append((TaskRun(request, state, costs.get(entry.key)), entry.task_id))
    return runs
