"""Calls of a batch: the operation that runs one item, and the wait for a budget that other calls hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ..._config import Config
from ..._operations.client_state import ClientState
from ..._operations.completions import complete, completion_request
from ..._operations.effects import Operation
from ..._operations.task_request import task_request
from ..._operations.task_run import TaskRun
from ..._policy.pricing import max_completion_cost
from ..._transport.async_connection import AsyncConnection
from ..._wire.extras import Extras, call_extras
from ...errors import CostExceededError
from .items import Item


def operation(method: str, item: Item, config: Config, state: ClientState) -> Operation[Any]:
    """Return the operation of an item. Raises InvalidRequestError or ConfigurationError: nothing was sent."""
    if method == "map_completions":
        return complete(_request(method, item, config), config, state)
    return TaskRun(_request(method, item, config), state).execute()


def most_cost(method: str, item: Item, config: Config, state: ClientState) -> float:
    """Return the USD that an item may cost at most. Raises as ``operation()``."""
    request = _request(method, item, config)
    if method == "map_completions":
        return max_completion_cost(request.body, state.models or ())
    most: float = request.max_cost
    return most


def _request(method: str, item: Item, config: Config) -> Any:
    fields = dict(item.parameters)
    extras: Extras = call_extras(fields.pop("extra_body", None), fields.pop("extra_headers", None))
    key = item.idempotency_key
    if method == "map_completions":
        prompt, timeout = fields.pop("prompt", None), fields.pop("timeout", None)
        return completion_request(
            config,
            fields,
            prompt=prompt,
            timeout=timeout,
            idempotency_key=key,
            extras=extras,
            is_cacheable=item.is_cacheable,
        )
    stall_timeout = fields.pop("stall_timeout", None)
    return task_request(config, fields, idempotency_key=key, stall_timeout=stall_timeout, extras=extras)


class LocalCalls:
    """Calls on a connection of this process."""

    def __init__(self, method: str, connection: AsyncConnection, state: ClientState) -> None:
        self._method = method
        self._connection = connection
        self._state = state

    def run(self, item: Item) -> Awaitable[Any]:
        """Run an item; the result is its response."""
        return self._connection.run(operation(self._method, item, self._connection.config, self._state))


class CallRunner:
    """Runner of calls. One for which the budget has too little left waits while others may turn out cheaper.

    Args:
        run: Runs an item and returns its response.
        on_wait: Called when a call has to wait.
    """

    def __init__(self, run: Callable[[Item], Awaitable[Any]], on_wait: Callable[[], object]) -> None:
        self._run = run
        self._on_wait = on_wait
        self._running = 0
        """Calls that hold a reservation, or may get one."""
        self._settled: asyncio.Event | None = None
        """Set, and dropped, when a call ends; None if no call waits for that."""

    async def run(self, item: Item) -> Any:
        """Run an item and return its response."""
        while True:
            refused = False
            self._running += 1
            try:
                return await self._run(item)
            except CostExceededError as error:
                refused = not error.attempts and error.status_code is None and error.task is None
                if not refused or self._running == 1:
                    raise
                settled = self._settled = self._settled or asyncio.Event()
            finally:
                self._running -= 1
                if self._settled is not None and (not refused or self._running == 0):
                    self._settled.set()
                    self._settled = None
            self._on_wait()
            await settled.wait()
