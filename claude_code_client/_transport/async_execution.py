"""An asynchronous operation in progress."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Generic, Self

import attrs

from .._operations.effects import Emit, Operation, T
from ..errors import ClaudeAPIError
from .async_background import AsyncBackground, FinishInThread
from .async_driver import AsyncDriver
from .async_pool import AsyncPools
from .background import BackgroundWork, is_suspended
from .cancellation import AsyncCancelToken, running_loop


@attrs.frozen
class Done(Generic[T]):
    """End of an operation, and its result."""

    value: T = attrs.field(repr=False)


class AsyncExecution(Generic[T]):
    """An operation that is carried out step by step: an asynchronous iterator of the values that it emits.

    It is not an asynchronous generator, so that the one that a user holds is the only one: an event loop that ends
    closes all generators at the same time, and a generator that closes another one then gets in the loop's way.
    """

    def __init__(
        self,
        operation: Operation[T],
        driver: AsyncDriver,
        token: AsyncCancelToken,
        pools: AsyncPools,
        *,
        attached: Callable[[Any], Any],
        in_background: Callable[[BackgroundWork], AsyncBackground],
        finish_in_thread: FinishInThread,
    ) -> None:
        self._operation = operation
        self._driver = driver
        self._token = token
        self._pools = pools
        self._attached = attached
        self._in_background = in_background
        self._finish_in_thread = finish_in_thread
        self._process = os.getpid()
        self._aborted = False
        """If so, the operation belongs to its background work."""
        self._cleanup: AsyncBackground | None = None
        """The background work, while the caller may wait for it."""

    def cancel(self) -> None:
        """End whatever the operation waits for with ClosedError. Callable from any task or thread."""
        self._token.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        step = await self.advance()
        if isinstance(step, Emit):
            return step.value
        raise StopAsyncIteration

    async def advance(self) -> Emit | Done[T]:
        """Go on to the next value that the operation emits, or to its end."""
        running_loop()
        self._pools.calls.add(self)
        outcome: Any = None
        failure: ClaudeAPIError | None = None
        try:
            while True:
                effect = self._operation.send(outcome) if failure is None else self._operation.throw(failure)
                if isinstance(effect, Emit):
                    self._attached(effect.value)
                    return effect
                outcome, failure = await self._driver.attempt(effect)
        except StopIteration as stop:
            return Done(self._attached(stop.value))
        except BaseException as cause:
            self._attached(cause)
            await self.abort(cause)
            raise

    async def abort(self, cause: BaseException | None) -> None:
        """Abort the operation if it is suspended, and wait until it has cleaned up.

        Cancelling the caller once more ends the wait, not the cleanup.
        """
        if not self._aborted and is_suspended(self._operation) and self._process == os.getpid():
            self._aborted = True
            work = BackgroundWork.abort(self._operation, cause)
            if isinstance(cause, GeneratorExit):
                # The coroutine is being closed, without its loop perhaps: it must not wait any more.
                self._finish_in_thread(work, None)
            else:
                self._cleanup = self._in_background(work)
        if self._cleanup is not None:
            cleanup = self._cleanup
            try:
                await asyncio.shield(cleanup.done)
            except BaseException as error:
                cleanup.watch()
                if isinstance(error, GeneratorExit):
                    self._cleanup = None
                raise

    async def aclose(self) -> None:
        """Abort the operation if it is suspended, and close its response."""
        self._pools.calls.discard(self)
        await self.abort(None)
        if not self._aborted:
            self._operation.close()
        elif self._cleanup is None:
            return
        await self._driver.aclose()
