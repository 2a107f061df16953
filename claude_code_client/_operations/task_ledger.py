"""What is known of one task, and what follows from it for budgets and the journal; as operations. No I/O."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import Any

import attrs
from claude_code_api import models as generated

from .._policy.budget import Reservation
from .._wire import legacy as _older
from .._wire import responses as convert
from .._wire.event_cursor import EventCursor
from ..errors import ClaudeAPIError, ConfigurationError
from ..models import AgenticTaskResponse
from .client_state import ClientState
from .effects import Operation, Request, RunBlocking, Send
from .task_request import TaskRequest

logger = logging.getLogger("claude_code_client")


class TaskLedger:
    """One task, as far as the server has told of it. Its end settles what budgets hold for it."""

    def __init__(self, order: TaskRequest, state: ClientState) -> None:
        self._order = order
        self._state = state
        self._reservations: list[Reservation] = []
        self._sent = False
        self._ended = False
        self._seen_whole = False
        self._cursor = EventCursor()
        self.task: AgenticTaskResponse | None = None
        """The task as it was last seen; None until the server has answered."""

    def _reserve(self) -> None:
        """Raises CostExceededError where a budget cannot bear the most that it may cost."""
        self._reservations = self._state.budgets.reserve(self._order.max_cost)

    def _settle(self, cost: float) -> None:
        for reservation in self._reservations:
            reservation.settle(cost)

    def _note(self, method: str, *facts: Any) -> Operation[None]:
        """Write to the journal, if there is one. Raises ConfigurationError if what is to be sent cannot be noted."""
        if self._state.journal is None:
            return
        try:
            yield RunBlocking(partial(getattr(self._state.journal, method), self._order.idempotency_key, *facts))
        except ConfigurationError as error:
            if not self._sent:
                raise
            # The task runs, whatever becomes of the note; recover() will ask for it once more than it would have to.
            logger.warning("%s", error)

    def _ask(
        self, endpoint: Any, request: Request, deadline: float, *, repeatable: bool | None = None
    ) -> Operation[AgenticTaskResponse]:
        """One request about the task, and what it says of it."""
        response = yield Send(request=request, deadline=deadline, repeatable=repeatable)
        task = convert.parse(endpoint, response, generated.AgenticTaskResponse, convert.task, adapt=_older.task)
        self.task = task
        self._seen_whole = task.is_terminal
        if task.is_terminal:
            self._settle(task.usage.cost)
        if task.is_terminal and not self._ended:
            self._ended = True
            yield from self._note("done")
        return task

    def _see_result(self, event: generated.ResultEvent | None) -> Operation[None]:
        """The last event has come."""
        self._ended = True
        if event is not None and self.task is not None:
            with suppress(*convert.PARSE_ERRORS):
                self.task = convert.task_after(self.task, event)
                self._settle(self.task.usage.cost)
        yield from self._note("done")

    def _tell(self, error: ClaudeAPIError) -> None:
        if self.task is not None:
            error.task_id, error.task = self.task.id, without_prompt(self.task)
            error.last_event_id = self._cursor.last_event_id

    @property
    def _known(self) -> AgenticTaskResponse:
        assert self.task is not None  # noqa: S101 (asked for only once the server has answered)
        return self.task

    @property
    def _id(self) -> str:
        return self._known.id


def without_prompt(task: AgenticTaskResponse) -> AgenticTaskResponse:
    """The task as an exception carries it."""
    return attrs.evolve(task, description=None)


def result_event(event: dict[str, Any]) -> generated.ResultEvent | None:
    """The last event, unless it lacks what the contract promises."""
    try:
        return generated.ResultEvent.from_dict(event)
    except convert.PARSE_ERRORS:
        return None
