"""Batch of an asynchronous client: an iterator over results, on an engine in the caller's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, NoReturn, Self, SupportsIndex, TypeAlias

from ..._transport.async_connection import AsyncConnection
from ..._transport.cancellation import CLOSED_DURING_CALL, running_loop
from ...errors import ClosedError, ConfigurationError
from ..options import CompletionItem, TaskItem
from ..pickling import refuse
from ..tracebacks import strip_tracebacks_async
from .arguments import BatchOptions, batch_options
from .ending import report
from .engine import END, BatchEngine
from .items import DataclassItem
from .results import BatchProgress, BatchResult, R
from .sources import check_items, length_of

CompletionItems: TypeAlias = (
    Iterable[str | CompletionItem | Mapping[str, Any] | DataclassItem]
    | AsyncIterable[str | CompletionItem | Mapping[str, Any] | DataclassItem]
)
TaskItems: TypeAlias = (
    Iterable[str | TaskItem | Mapping[str, Any] | DataclassItem]
    | AsyncIterable[str | TaskItem | Mapping[str, Any] | DataclassItem]
)


class AsyncBatch(Generic[R]):
    """Iterator over the results of a batch. Leaving its ``async with``, or :meth:`aclose`, ends the batch."""

    def __init__(self, options: BatchOptions, items: Any, connection: AsyncConnection) -> None:
        self._options = options
        self._connection = connection
        self._arrived = asyncio.Event()
        self._engine = BatchEngine(
            options,
            _source(items),
            connection.observed,
            connection.config,
            connection.state,
            total=length_of(items),
            on_ready=self._arrived.set,
        )
        self._running: _Running | None = None
        self._is_over = False

    @property
    def progress(self) -> BatchProgress:
        """State of the batch: how many items are done, what they have cost, how long the rest will take."""
        return self._engine.progress

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BatchResult[R]:
        engine, running = self._engine, self._running
        if engine.ready and not self._is_over and running is not None and running.loop is running_loop():
            # Most results are there already, and cost less without the layers below.
            engine.taken(1)
            return engine.ready.popleft()
        result = await self._next()
        if result is END:
            raise StopAsyncIteration
        found: BatchResult[R] = result
        return found

    @strip_tracebacks_async
    async def _next(self) -> Any:
        engine = self._engine
        if self._is_over:
            return END
        if self._running is None:
            self._running = _Running(self._options, engine, self._connection)
        elif self._running.loop is not running_loop() and not engine.finished:
            raise ConfigurationError("The batch was begun in another event loop. Read it in one loop.")
        while not engine.ready:
            if engine.finished:
                self._is_over = True
                failure, engine.failure = engine.failure, None
                if failure is not None:
                    raise failure
                return END
            self._arrived.clear()
            try:
                await self._arrived.wait()
            except BaseException as error:
                await self._leave(error)
                raise
        engine.taken(1)
        return engine.ready.popleft()

    @strip_tracebacks_async
    async def aclose(self) -> None:
        """End the batch: cancel the calls in progress and close the results file. Can be called more than once."""
        await self._leave(None)

    async def _leave(self, error: BaseException | None) -> None:
        self._is_over = True
        if self._running is not None:
            await self._running.end(error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._leave(error)

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse("A batch", "pass on its items and the path of its results file")

    def __del__(self) -> None:
        running: _Running | None = getattr(self, "_running", None)
        if running is not None and not self._engine.finished:
            running.abandon()


class _Running:
    """Task of an engine that has begun. The client's connection ends it when it is closed."""

    def __init__(self, options: BatchOptions, engine: BatchEngine, connection: AsyncConnection) -> None:
        self.loop = running_loop()
        self._options = options
        self._engine = engine
        connection.keep(self)
        self._task = asyncio.create_task(engine.run())
        self._task.add_done_callback(lambda _: connection.drop(self))

    async def end(self, error: BaseException | None = None) -> None:
        """End the engine, wait until it has cleaned up, and report how to go on; ``error`` is why it ends.

        From another loop, do not wait.
        """
        if self._engine.finished:
            return
        if self.loop is not running_loop():
            self.abandon()
            return
        progress = self._engine.progress
        self._engine.stop(ClosedError(CLOSED_DURING_CALL))
        try:
            await asyncio.wait({self._task})
        finally:
            report(self._options, progress, error)

    def abandon(self) -> None:
        """End the engine without waiting."""
        with suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self._engine.stop, ClosedError(CLOSED_DURING_CALL))


def _source(items: Any) -> Any:
    if isinstance(items, AsyncIterable):
        asynchronous: AsyncIterator[Any] = aiter(items)

        async def read_async() -> Any:
            return await anext(asynchronous, END)

        return read_async
    iterator = iter(items)

    async def read() -> Any:
        return next(iterator, END)

    return read


def open_batch(
    connection: AsyncConnection, method: str, items: Any, shared: Mapping[str, Any], **options: Any
) -> AsyncBatch[Any]:
    """Return a batch, which begins with the first result that is asked for. Raises ConfigurationError."""
    check_items(items, may_be_async=True)
    return AsyncBatch(batch_options(method, shared, **options), items, connection)
