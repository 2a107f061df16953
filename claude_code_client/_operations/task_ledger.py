"""Ledger of one task: its cost in budgets, and its entries in the journal. No I/O."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..models import AgenticTaskResponse
from .client_state import ClientState
from .cost import ReservedCost
from .effects import Operation, RunBlocking
from .task_request import TaskRequest

if TYPE_CHECKING:
    from .._files.journal import Journal

logger = logging.getLogger("claude_code_client")


class TaskLedger:
    """Budget reservations and journal entries of one task."""

    def __init__(self, request: TaskRequest, state: ClientState, cost: ReservedCost | None = None) -> None:
        self._request = request
        self._state = state
        self._key = request.idempotency_key
        self._cost = cost or ReservedCost()
        self._task_id: str | None = None
        self._writing = threading.RLock()
        self._is_done = False
        """True once nobody has to look for the task any more."""

    def reserve(self) -> None:
        """Reserve the task's maximum cost. Raises CostExceededError if a budget cannot bear it."""
        self._hold(ReservedCost(self._state.budgets.reserve(self._request.max_cost)))

    def reserve_recovered(self, usd: float | None = None) -> ReservedCost:
        """Reserve the maximum cost of a task of the journal, or ``usd``, in the budgets that hold nothing for it yet.

        Returns what was added. Raises CostExceededError.
        """
        held = self._state.open_costs.get(self._key, self._cost).reservations
        added = self._state.budgets.reserve(self._request.max_cost if usd is None else usd, held)
        self._hold(ReservedCost((*held, *added)))
        return ReservedCost(added)

    def settle(self, usd: float) -> None:
        """Settle the task's cost. Only the first call counts; without a reservation there is nothing to settle."""
        self._cost.settle(usd)
        if self._task_id is not None and self._state.task_costs.get(self._task_id) is self._cost:
            self._state.task_costs.pop(self._task_id, None)

    def settle_ended(self, task: AgenticTaskResponse) -> None:
        """Settle the cost of the task, which has ended, and count its usage."""
        self.settle(task.usage.cost)
        self._state.usage.add(task.id, task.usage)

    def release(self) -> None:
        """Settle at no cost: the server has not run the task."""
        self.settle(0.0)
        self._state.open_costs.pop(self._key, None)

    def identify(self, task_id: str) -> None:
        """Let calls with the task's ID settle its cost."""
        self._task_id = task_id
        self._hold(self._cost)

    def _hold(self, cost: ReservedCost) -> None:
        self._cost = cost
        if self._state.journal is not None and cost.reservations:
            self._state.open_costs[self._key] = cost
        if self._task_id is not None and cost.reservations:
            self._state.task_costs[self._task_id] = cost

    def note_submitting(self) -> Operation[None]:
        """Note that the submit is about to be sent. Raises ConfigurationError if the journal cannot be written."""
        if (journal := self._state.journal) is not None:
            yield RunBlocking(partial(self._write_submitting, journal))

    def note_submitted(self, task_id: str) -> Operation[None]:
        """Note that the server has the task."""
        if (journal := self._state.journal) is not None:
            yield from _note(partial(journal.submitted, self._key, task_id))

    def note_done(self) -> Operation[None]:
        """Note that nobody has to look for the task any more."""
        journal = self._state.journal
        if journal is not None and (yield from _note(partial(self._write_done, journal))):
            # Until then, recover() may find the task, and must not settle it once more.
            self._state.open_costs.pop(self._key, None)

    def _write_submitting(self, journal: Journal) -> None:
        with self._writing:
            # Nobody may wait for this thread any more, and another one have noted that the task is not wanted.
            if not self._is_done:
                journal.submitting(self._key, self._request.body.to_dict(), self._request.timeout)

    def _write_done(self, journal: Journal) -> None:
        with self._writing:
            self._is_done = True
            journal.done(self._key)


def _note(write: Callable[[], None]) -> Operation[bool]:
    """Write to the journal; return whether it worked."""
    try:
        yield RunBlocking(write)
    except ConfigurationError as error:
        # The call itself does not depend on the entry; without it, recover() looks for the task once more.
        logger.warning("%s", error)
        return False
    return True
