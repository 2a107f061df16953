"""Lanes of a batch: each runs items one after another, and there are as many as the server takes calls at once.

A lane whose call has ended takes the next item itself, so that an item costs no asyncio task of its own. Items are
read by one lane at a time. A lane that has to wait, for the pace or for an item, is the only one that does: the others
end, and new ones begin when there is room again.
"""

from __future__ import annotations

import asyncio
import builtins
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from .admission import Admission
from .delivery import ended
from .items import Item


class Lanes:
    """Lanes of one batch.

    Args:
        next_item: Reads the next item; None if there are no more.
        run: Runs an item to its end.
        on_failure: Called with the exception that a lane has ended with.
    """

    def __init__(
        self,
        next_item: Callable[[], Awaitable[Item | None]],
        run: Callable[[Item], Awaitable[None]],
        on_failure: Callable[[BaseException], object],
    ) -> None:
        self.calls = 0
        """Items that are being run."""
        self.changed = asyncio.Event()
        """Set when something has changed that a lane may be waiting for."""
        self._next_item = next_item
        self._run = run
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_reading = False
        self._is_over = False
        """True once no lane is to take another item."""
        self._ended = asyncio.Event()

    async def run(self, admission: Admission) -> None:
        """Run items until there are no more; return once all have ended."""
        self._begin(admission)
        await self._ended.wait()

    async def cancel(self) -> None:
        """Cancel what runs, and wait for it."""
        self._is_over = True
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await ended(self._tasks)

    async def change(self, seconds: float = 0.0) -> None:
        """Wait until something has changed, for some seconds at most."""
        self.changed.clear()
        if seconds <= 0:
            await self.changed.wait()
            return
        with suppress(builtins.TimeoutError):
            await asyncio.wait_for(self.changed.wait(), seconds)

    def _begin(self, admission: Admission) -> None:
        task = asyncio.create_task(self._work(admission))
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    async def _work(self, admission: Admission) -> None:
        while not (self._is_reading or self._is_over):
            self._is_reading = True
            try:
                item = await self._next_item()
                if item is None:
                    self._is_over = True
                    return
                while (delay := admission.delay(self.calls, time.monotonic())) != 0:
                    await self.change(delay or 0.0)
            finally:
                self._is_reading = False
            admission.started(time.monotonic())
            self.calls += 1
            try:
                if admission.has_room(self.calls):
                    self._begin(admission)
                await self._run(item)
            finally:
                self.calls -= 1
                self.changed.set()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)
        if not self._tasks:
            self._ended.set()
