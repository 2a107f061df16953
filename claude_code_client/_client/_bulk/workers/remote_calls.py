"""Calls by workers, as the coordinator sees them: each has its part of the budgets before it is sent to one."""

from __future__ import annotations

import asyncio
import pickle
import time
from contextlib import suppress
from typing import Any

from ...._operations.client_state import ClientState
from ...._operations.cost import ReservedCost
from ...._transport.async_connection import AsyncConnection
from ....errors import CostExceededError, InvalidRequestError
from ...artifact_reader import attach_reader
from ..calls import LocalCalls, most_cost
from ..items import Item
from ..rate_limit import RequestPace
from .chunk import ChunkItem, ItemOutcome
from .dispatcher import Dispatcher
from .lease_file import LeaseFile
from .work import ExecutorUnusableError, lost_error


class RemoteCalls:
    """Calls of one batch by workers; by this process once the executor cannot be used any more."""

    def __init__(
        self,
        method: str,
        dispatcher: Dispatcher,
        connection: AsyncConnection,
        state: ClientState,
        pace: RequestPace,
        most: int,
        leases: LeaseFile | None,
    ) -> None:
        self._method = method
        self._dispatcher = dispatcher
        self._connection = connection
        self._state = state
        self._pace = pace
        self._local = LocalCalls(method, connection, state)
        self._local_slots = asyncio.Semaphore(most)
        self._leases = leases
        self._held: dict[int, tuple[ReservedCost, float]] = {}
        """Reservations of items that an earlier run has sent, and whose cost it has not learned."""
        for index, usd in () if leases is None else leases.left.items():
            with suppress(CostExceededError):  # the budget is smaller than it was
                self._held[index] = ReservedCost(state.budgets.reserve(usd)), usd

    async def run(self, item: Item) -> Any:
        """Run an item and return its response."""
        try:
            parameters = pickle.dumps(item.parameters, pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            raise InvalidRequestError(
                f"The item cannot be sent to a worker ({type(error).__name__}): its parameters must be picklable.",
                param="items",
            ) from None
        cost, lease = self._reserve(item)
        sent = ChunkItem(index=item.index, parameters=parameters, idempotency_key=item.idempotency_key, lease=lease)
        work = self._dispatcher.put(sent, item.parameters.get("timeout"))
        try:
            outcome = await work.done
        except asyncio.CancelledError:
            if not work.is_sent:
                cost.release()
            raise
        except ExecutorUnusableError:
            if work.is_sent and not await self._dispatcher.may_repeat():
                raise lost_error(1, may_repeat=False) from None
            async with self._local_slots:
                await self._turn()
                cost.release()  # the call reserves its own
                return await self._local.run(item)
        if not outcome.is_open:
            cost.settle(outcome.spent)
            if self._leases is not None:
                self._leases.settle(item.index)
        return self._response(outcome)

    def _reserve(self, item: Item) -> tuple[ReservedCost, float | None]:
        """Reserve the most that the item may cost. Raises CostExceededError."""
        if not self._state.budgets.active:
            return ReservedCost(), None
        lease = most_cost(self._method, item, self._connection.config, self._state)
        cost, held = self._held.pop(item.index, (ReservedCost(), None))
        if held == lease:
            return cost, lease
        cost.release()  # the prices have changed
        return ReservedCost(self._state.budgets.reserve(lease)), lease

    def _response(self, outcome: ItemOutcome) -> Any:
        attach_reader(outcome.response, self._connection)
        if outcome.error is not None:
            raise attach_reader(outcome.error, self._connection)
        # The worker's client has counted it for itself only.
        self._state.usage.add(outcome.response.id, outcome.response.usage)
        return outcome.response

    async def _turn(self) -> None:
        while (delay := self._pace.delay(time.monotonic())) > 0:  # noqa: ASYNC110 (it is a matter of time)
            await asyncio.sleep(delay)
        self._pace.started(time.monotonic())
