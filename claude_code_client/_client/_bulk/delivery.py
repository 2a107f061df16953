"""Delivery of results: onto the disk first, then to the caller, in order if the order counts."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from ...errors import ClaudeAPIError
from .result_lines import encode, is_final
from .results import BatchResult
from .results_file import ResultsFile

_INTERVAL: Final = 0.02
"""Seconds from the start of a write to that of the next one: the results of that time are written together."""


class ResultDelivery:
    """Results on their way to the caller.

    Args:
        ordered: Whether to deliver results in the order of the items.
        on_arrival: Called with each result that is on the disk, if it belongs there.
        on_failure: Called with the exception if the disk refuses.
    """

    def __init__(
        self,
        ordered: bool,
        on_arrival: Callable[[BatchResult[Any]], None],
        on_failure: Callable[[ClaudeAPIError], None],
    ) -> None:
        self.ready: deque[BatchResult[Any]] = deque()
        """Results that the caller has not taken yet."""
        self.file: ResultsFile | None = None
        self._ordered = ordered
        self._on_arrival = on_arrival
        self._on_failure = on_failure
        self._next = 0
        self._waiting: dict[int, BatchResult[Any]] = {}
        """Results that came before those of earlier items, if the order counts."""
        self._unwritten: list[tuple[bytes, BatchResult[Any]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._write_at = 0.0
        """Time from which the next write may start: a result that is alone is written at once."""

    def finish(self, result: BatchResult[Any]) -> None:
        """Deliver a result, once it is on the disk if it belongs there."""
        file = self.file
        if file is None or not is_final(result):
            self.arrive(result)
            return
        self._unwritten.append((encode(result, file.batch_id), result))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(file))

    def arrive(self, result: BatchResult[Any]) -> None:
        """Deliver a result that is on the disk, or does not belong there."""
        if not self._ordered:
            self.ready.append(result)
        else:
            self._waiting[result.index] = result
            while (following := self._waiting.pop(self._next, None)) is not None:
                self._next += 1
                self.ready.append(following)
        self._on_arrival(result)

    async def written(self) -> None:
        """Wait until everything is on the disk, also if the waiting task is cancelled meanwhile."""
        while self._writer is not None:
            await ended({self._writer})

    async def _write(self, file: ResultsFile) -> None:
        try:
            while self._unwritten:
                # The throughput depends neither on the disk nor on what it costs to ask it.
                now = time.monotonic()
                if now < self._write_at:
                    await asyncio.sleep(self._write_at - now)
                self._write_at = max(now, self._write_at) + _INTERVAL
                entries, self._unwritten = self._unwritten, []
                lines = [line for line, _ in entries]
                try:
                    await asyncio.to_thread(file.append, lines)
                except RuntimeError:  # the process is ending: there are no more threads
                    file.append(lines)
                for _, result in entries:
                    self.arrive(result)
        except ClaudeAPIError as error:
            self._unwritten = []
            self._on_failure(error)
        finally:
            self._writer = None


async def ended(tasks: set[asyncio.Task[Any]]) -> None:
    """Wait until tasks have ended; a cancellation meanwhile is ignored once."""
    with suppress(asyncio.CancelledError):
        await asyncio.wait(tasks)
