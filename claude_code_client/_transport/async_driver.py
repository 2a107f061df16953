"""Driver of asynchronous operations. Twin of ``sync_driver``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from .._operations.effects import Effect, Emit, EmitEach, Open, Operation, Read, RunBlocking, Send, Sleep, Spawn
from ..errors import ClaudeAPIError, ClosedError
from .async_response import AsyncOpenResponse
from .async_transport import AsyncRetryTransport
from .cancellation import AsyncCancelToken

Outcome = tuple[Any, ClaudeAPIError | None]
"""Outcome of an effect, and the exception that it failed with."""


class AsyncDriver:
    """Carries out the effects of one operation.

    Args:
        http: Returns the HTTP client; called for each request.
        token: Ends what the operation waits for.
        spawn: Carries an operation out in the background.
    """

    def __init__(
        self,
        http: Callable[[], AsyncRetryTransport],
        token: AsyncCancelToken,
        spawn: Callable[[Operation[Any]], object],
    ) -> None:
        self._http = http
        self._token = token
        self._spawn = spawn
        self._response = AsyncOpenResponse()
        self._closed: ClosedError | None = None
        """Exception for the request that the token has cut, with what is known of the request."""

    async def attempt(self, effect: Effect) -> Outcome:
        """Carry out an effect; return its outcome, and the exception that it failed with."""
        try:
            return await self._perform(effect), None
        except ClosedError as error:
            error, self._closed = self._closed or error, None
            return None, error
        except ClaudeAPIError as error:
            return None, error

    async def aclose(self) -> None:
        """Close the open response."""
        await self._response.aclose()

    async def _perform(self, effect: Effect) -> Any:
        match effect:
            case Emit() | EmitEach():
                return None
            case Spawn():
                self._spawn(effect.operation)
                return None
            case RunBlocking():
                return await asyncio.to_thread(effect.work)
            case _:
                return await self._token.run(partial(self._wait_for, effect))

    async def _wait_for(self, effect: Send | Open | Read | Sleep) -> Any:
        match effect:
            case Send():
                http = self._http()
                return await http.handle(http.requests.whole(effect, on_cancelled=self._note_closed))
            case Open():
                return await self._response.open(self._http(), effect, self._note_closed)
            case Read():
                return await self._response.read(effect)
            case Sleep():
                return await asyncio.sleep(effect.seconds)

    def _note_closed(self, error: ClosedError) -> None:
        self._closed = error
