"""Link to an executor: carries a chunk to a worker and its report back, or finds that one of them is lost."""

from __future__ import annotations

import asyncio
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Final

import attrs

from .chunk import Chunk, ChunkReport, pack
from .coordinator_signal import CoordinatorSignal, SignalFile
from .worker import run_chunk

_PATIENCE: Final = 60.0
"""Seconds that a chunk may take beyond the deadlines of its calls."""


class ChunkLostError(Exception):
    """Chunk that will not be reported on."""


@attrs.define
class ExecutorLink:
    """Link of one batch's coordinator to its executor."""

    _executor: Executor
    _signal: CoordinatorSignal = attrs.field(factory=CoordinatorSignal)
    _futures: set[Future[ChunkReport]] = attrs.field(factory=set)

    @property
    def signal(self) -> SignalFile:
        """Path of the file that tells the workers that the coordinator is there."""
        return self._signal.file

    async def carry(self, chunk: Chunk, timeout: float) -> ChunkReport:
        """Have a chunk run whose calls may take so many seconds.

        Raises ChunkLostError, or another exception if the executor cannot be used any more.
        """
        # A thread: executors start processes, or talk to a scheduler.
        future = await asyncio.to_thread(self._executor.submit, run_chunk, pack(chunk))
        self._futures.add(future)
        reporting = asyncio.wrap_future(future)
        try:
            await asyncio.wait({reporting}, timeout=chunk.seconds + 1.1 * timeout + _PATIENCE)
        finally:
            self._futures.discard(future)
        if not reporting.done():
            reporting.cancel()
            raise ChunkLostError("no report in time")
        if reporting.cancelled():
            raise ChunkLostError("cancelled")
        error = reporting.exception()
        if isinstance(error, BrokenExecutor):
            raise error
        if error is not None:
            raise ChunkLostError(type(error).__name__)
        return reporting.result()

    def end(self) -> None:
        """Tell the workers to stop, and cancel the chunks that have not begun."""
        self._signal.end()
        for future in list(self._futures):
            future.cancel()
