"""An asynchronous operation in progress."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Self

import attrs

from .._operations.effects import Emit, EmitEach, Operation, T
from ..errors import ClaudeAPIError, ClosedError, ConfigurationError
from .async_background import AsyncBackground, FinishInThread
from .async_driver import AsyncDriver
from .async_pool import AsyncPools
from .background import BackgroundWork, is_suspended
from .cancellation import CLOSED_DURING_CALL, AsyncCancelToken, running_loop


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
        on_emit: Callable[[Emit], Awaitable[None]] | None = None,
    ) -> None:
        self._operation = operation
        self._driver = driver
        self._token = token
        self._pools = pools
        self._attached = attached
        self._in_background = in_background
        self._finish_in_thread = finish_in_thread
        self._on_emit = on_emit
        self._process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False
        """True once the caller knows how the operation has ended."""
        self.turn = asyncio.Lock()
        """Held by whoever carries the operation out."""
        self._rest: deque[Any] = deque()
        self._each: EmitEach | None = None
        """Values that the operation has emitted together, and that are left of them."""
        """Values that the operation emitted while it was being ended."""
        self._failure: ClaudeAPIError | None = None
        """Exception that the operation raised then."""
        self._aborted = False
        """If so, the operation belongs to its background work."""
        self._cleanup: AsyncBackground | None = None
        """The background work, while the caller may wait for it."""

    @property
    def is_cancelled(self) -> bool:
        """True if the operation was ended by ``cancel`` or ``end``."""
        return self._token.is_cancelled

    def check_loop(self) -> None:
        """Raise ConfigurationError if the operation was begun in another event loop and has not ended."""
        if self._loop not in (None, running_loop()) and not self._ended:
            raise ConfigurationError(
                "The stream was begun in another event loop. Read a stream in one loop; resume a task's stream in "
                "another one with stream_events(stream.task_id, after=stream.last_event_id)."
            )

    def cancel(self) -> None:
        """End whatever the operation waits for with ClosedError. Callable from any task or thread."""
        self._token.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        await self.turn.acquire()  # `async with` would cost two more coroutines for each event
        try:
            if self._rest:
                return self._rest.popleft()
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure
            if self._aborted:
                raise ClosedError(CLOSED_DURING_CALL)
            step = await self.advance()
        finally:
            self.turn.release()
        if isinstance(step, Emit):
            return step.value
        raise StopAsyncIteration

    async def end(self) -> None:
        """End the operation, also if nobody waits for its next value: its task is cancelled in the background."""
        self.cancel()
        if self.turn.locked() or not is_suspended(self._operation):
            return
        if self._loop is not running_loop():
            self.abandon()
            return
        async with self.turn:
            try:
                while isinstance(step := await self.advance(), Emit):
                    self._rest.append(step.value)
            except ClaudeAPIError as error:
                self._failure = error.with_traceback(None)
            await self._driver.aclose()

    def abandon(self) -> None:
        """Abort an operation whose event loop may have ended."""
        if not self._aborted and is_suspended(self._operation) and self._process == os.getpid():
            self._aborted = True
            self._finish_in_thread(BackgroundWork.abort(self._operation, None), None)

    async def advance(self) -> Emit | Done[T]:
        """Go on to the next value that the operation emits, or to its end."""
        self._loop = running_loop()
        self._pools.calls.add(self)
        outcome: Any = None
        failure: ClaudeAPIError | None = None
        try:
            while True:
                if self._each is not None:
                    for value in self._each.values:
                        return await self._emitted(Emit(value, self._each.task_id))
                    self._each = None
                effect = self._operation.send(outcome) if failure is None else self._operation.throw(failure)
                if isinstance(effect, Emit):
                    self._attached(effect.value)
                    return await self._emitted(effect)
                if isinstance(effect, EmitEach):
                    self._each = effect
                    outcome = failure = None
                    continue
                outcome, failure = await self._driver.attempt(effect)
        except StopIteration as stop:
            self._ended = True
            return Done(self._attached(stop.value))
        except BaseException as cause:
            self._ended = True
            self._attached(cause)
            await self.abort(cause)
            raise

    async def _emitted(self, emit: Emit) -> Emit:
        if self._on_emit is not None:
            await self._on_emit(emit)
        return emit

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
