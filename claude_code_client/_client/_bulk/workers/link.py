"""Link to an executor: carries a chunk to a worker and its report back, or finds that one of them is lost."""

from __future__ import annotations

import asyncio
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import suppress
from typing import Final

import attrs

from .chunk import Chunk, ChunkReport, Package, pack
from .coordinator_signal import CoordinatorSignal, SignalFile
from .executor_thread import ExecutorThread
from .worker import run_chunk

_PATIENCE: Final = 60.0
"""Seconds that a chunk may take beyond the deadlines of its calls."""

_GLANCE: Final = 1.0
"""Seconds between two looks at the executor."""


class ChunkLostError(Exception):
    """Chunk that will not be reported on."""


@attrs.define
class ExecutorLink:
    """Link of one batch's coordinator to its executor.

    The executor is called in a thread of its own: it starts processes, or talks to a scheduler that may be gone.
    """

    _executor: Executor
    _signal: CoordinatorSignal = attrs.field(factory=CoordinatorSignal)
    _thread: ExecutorThread = attrs.field(factory=ExecutorThread)
    _futures: set[Future[ChunkReport]] = attrs.field(factory=set)
    """Chunks that are out; changed in the thread only."""
    _has_ended: bool = False

    @property
    def signal(self) -> SignalFile:
        """File that tells the workers that the coordinator is there."""
        return self._signal.file

    async def carry(self, chunk: Chunk, timeout: float) -> ChunkReport:
        """Have a chunk run whose calls may take so many seconds.

        Raises ChunkLostError, or another exception if the executor cannot be used any more.
        """
        if self._has_ended:
            raise ChunkLostError("the batch has ended")
        package = pack(chunk)
        future: Future[ChunkReport] | None = None
        scope = asyncio.timeout(chunk.seconds + 1.1 * timeout + _PATIENCE)
        try:
            async with scope:
                future = sent = await asyncio.wrap_future(self._thread.call(lambda: self._submit(package)))
                reporting = asyncio.wrap_future(sent)
                await self._wait(reporting)
        except TimeoutError:
            if not scope.expired():
                raise
            raise ChunkLostError("no report in time") from None
        finally:
            if future is not None and not self._has_ended:
                self._thread.call(lambda: self._forget(future))
        if reporting.cancelled():
            raise ChunkLostError("cancelled")
        error = reporting.exception()
        if isinstance(error, BrokenExecutor):
            raise error
        if error is not None:
            raise ChunkLostError(type(error).__name__)
        return reporting.result()

    def end(self) -> Future[None]:
        """Tell the workers to stop, and cancel the chunks that have not begun; return the end of that.

        It may never come, if the executor waits for something that is gone.
        """
        self._has_ended = True
        self._signal.end()
        ended = self._thread.call(self._cancel_all)
        self._thread.end()
        return ended

    async def _wait(self, reporting: asyncio.Future[ChunkReport]) -> None:
        while not reporting.done():
            await asyncio.wait({reporting}, timeout=_GLANCE)
            if not reporting.done() and _is_closed(self._executor):
                raise ChunkLostError("the executor is closed")

    def _submit(self, package: Package) -> Future[ChunkReport]:
        future = self._executor.submit(run_chunk, package)
        self._futures.add(future)
        return future

    def _forget(self, future: Future[ChunkReport]) -> None:
        self._futures.discard(future)
        self._cancel(future)  # unless it has ended

    def _cancel_all(self) -> None:
        for future in self._futures:
            self._cancel(future)

    def _cancel(self, future: Future[ChunkReport]) -> None:
        if not _is_closed(self._executor):  # Dask would log an exception
            with suppress(Exception):  # the executor's own
                future.cancel()


def _is_closed(executor: Executor) -> bool:
    """Return whether this is the executor of a Dask client that is closed, as it is after its scheduler was lost.

    While it closes, it takes chunks whose futures never end.
    """
    return getattr(getattr(executor, "_client", None), "status", None) == "closed"
