"""Dispatcher of a batch's coordinator: sends items to an executor in chunks, and again if a worker was lost.

The coordinator decides what may run: it takes items from the server's rate limit as it sends them, and shares the calls
that may be in flight among the chunks. What a worker does not start comes back.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any, Final

from ...._operations.client_state import ClientState
from ....errors import ConfigurationError
from ..concurrency import AdaptiveConcurrency
from ..rate_limit import RequestPace
from .chunk import Chunk, ChunkItem, ChunkReport
from .link import ChunkLostError, ExecutorLink
from .runtime import close_idle_runtimes
from .sizing import ChunkSizing
from .throughput_feed import ThroughputFeed
from .work import ExecutorUnusableError, Outstanding, Terms, Work, lost_error

logger = logging.getLogger("claude_code_client")

_LINGER: Final = 0.01
"""Seconds that an item waits for further ones, to be sent together."""
_MOST_SLOTS: Final = 1024
_MOST_LOSSES: Final = 5
"""Workers that may be lost with an item: it may be what they die of."""
_GRACE: Final = 2.0
"""Seconds that the workers have for the end of their calls, when the batch is left."""


class Dispatcher:
    """Dispatcher of one batch.

    Args:
        executor: Runs the chunks.
        terms: What all chunks have in common.
        concurrency: Calls that may be in flight altogether.
        pace: The server's rate limit.
        observe: Called with the time, the status and the headers of responses that workers have seen.
        state: State with the budgets, and the knowledge whether the server runs a call once, however often it is sent.
        ask: Asks the server for that.
        on_change: Called when there is room for further items.
        on_send: Called in a thread with the items that are about to be sent. May raise ConfigurationError.
    """

    def __init__(
        self,
        executor: Executor,
        terms: Terms,
        concurrency: AdaptiveConcurrency,
        pace: RequestPace,
        *,
        observe: Callable[[float, int, Mapping[str, str]], object],
        state: ClientState,
        ask: Callable[[], Awaitable[object]],
        on_change: Callable[[], object],
        on_send: Callable[[Sequence[ChunkItem]], object],
    ) -> None:
        self._terms = terms
        self._concurrency = concurrency
        self._pace = pace
        self._observe = observe
        self._state = state
        self._contract = state.contract
        self._ask = ask
        self._on_change = on_change
        self._on_send = on_send
        self._feed = ThroughputFeed(concurrency)
        self._sizing = ChunkSizing(_MOST_SLOTS)
        self._link = ExecutorLink(executor)
        self._queue: deque[Work] = deque()
        self._queued_at = 0.0
        self._out: set[Outstanding] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._main: asyncio.Task[None] | None = None
        self._unusable: str | None = None
        self._is_closing = False

    @property
    def is_usable(self) -> bool:
        """True unless the executor takes no more work."""
        return self._unusable is None

    @property
    def capacity(self) -> int:
        """Items to have here: those that are out, and another chunk for the worker that is ready first."""
        slots = min(self._sizing.slots, self._concurrency.limit)
        share = math.ceil(self._concurrency.limit / slots)
        return min((slots + 1) * self._sizing.items(share), self._terms.window // 2)

    @property
    def in_flight(self) -> int:
        """Calls that workers may have in progress."""
        return sum(out.concurrency for out in self._out)

    def put(self, item: ChunkItem, timeout: object) -> Work:
        """Have an item run."""
        seconds = timeout if isinstance(timeout, int | float) else self._terms.timeout
        work = Work(item, seconds, asyncio.get_running_loop().create_future())
        if self._unusable is not None:
            work.done.set_exception(ExecutorUnusableError(self._unusable))
            return work
        if self._main is None:
            self._main = self._keep(self._run())
        if not self._queue:
            self._queued_at = time.monotonic()
        self._queue.append(work)
        self._changed.set()
        return work

    async def may_repeat(self) -> bool:
        """Return whether the server runs an item once, however often it is sent; ask it if need be.

        What a lost worker had sent is not known. To a server that does not know keys, it must not be sent again.
        """
        if not self._contract.kept:
            await self._ask()
        return self._contract.kept

    async def aclose(self) -> None:
        """End the chunks that are out; do not wait long for workers that cannot be told."""
        self._is_closing = True
        if self._main is not None:
            self._main.cancel()
        # Not all executors return if their scheduler is gone.
        await asyncio.wait({*self._tasks, asyncio.wrap_future(self._link.end())}, timeout=_GRACE)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.to_thread(close_idle_runtimes)

    def _keep(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._give_up(error)

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            delay = self._send_chunks(time.monotonic())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), delay)

    def _send_chunks(self, now: float) -> float | None:
        """Send as many chunks as may be sent; return the seconds until there may be more, if that is known."""
        while self._queue and len(self._out) < self._sizing.slots:
            free = self._concurrency.limit - self.in_flight
            if free < 1:
                break
            share = min(math.ceil(self._concurrency.limit / self._sizing.slots), free)
            wanted = self._sizing.items(share)
            if len(self._queue) < wanted and now < self._queued_at + _LINGER:
                return self._queued_at + _LINGER - now
            works = self._take(wanted, now)
            if not works:
                if not self._queue:
                    break
                self._concurrency.held_back()
                return self._pace.delay(now)
            # Few items get as many calls at once as if there were many.
            share = share if self._queue else free
            out = Outstanding(works, now, self._concurrency.limit, min(share, len(works)))
            self._out.add(out)
            self._keep(self._send(out))
        if not self._queue and self.in_flight < self._concurrency.limit:
            self._concurrency.held_back()  # by the caller, or by the budget
        return None

    def _take(self, count: int, now: float) -> list[Work]:
        """Take items from the queue, as far as the server's rate limit allows."""
        works: list[Work] = []
        while self._queue and len(works) < count:
            if self._queue[0].done.done():  # the call was cancelled
                self._queue.popleft()
                continue
            if self._pace.delay(now) > 0:
                break
            self._pace.started(now)
            work = self._queue.popleft()
            work.is_sent = True
            works.append(work)
        return works

    async def _send(self, out: Outstanding) -> None:
        chunk = Chunk(
            method=self._terms.method,
            config=self._terms.config,
            worker_key=self._terms.worker_key,
            items=[work.item for work in out.works],
            concurrency=out.concurrency,
            seconds=min(self._sizing.seconds, self._pace.time_left(out.sent)),
            models=self._state.models if self._state.budgets.active else None,
            signal=self._link.signal,
        )
        report, loss = None, ""
        try:
            await asyncio.to_thread(self._on_send, chunk.items)
            report = await self._link.carry(chunk, max(work.timeout for work in out.works))
        except ChunkLostError as error:
            loss = str(error)
        except ConfigurationError as error:
            report = ChunkReport(failure=error)
        except Exception as error:
            self._give_up(error)
            return
        finally:
            self._out.discard(out)
        if report is not None:
            self._take_report(out, report, time.monotonic())
        elif not self._is_closing:
            await self._lost(out, loss)
        self._changed.set()
        self._on_change()

    def _take_report(self, out: Outstanding, report: ChunkReport, now: float) -> None:
        began = now - report.seconds
        started = {outcome.position for outcome in report.outcomes}
        latency = sum(outcome.seconds for outcome in report.outcomes) / len(started) if started else None
        self._sizing.note(
            report.worker,
            waited=0.0 if report.is_first else now - out.sent - report.seconds,
            seconds=report.seconds,
            latency=latency,
            is_starting=self._concurrency.is_starting,
        )
        limit = self._concurrency.limit
        for seen in report.seen:
            self._observe(began + seen.at, seen.status, seen.headers)
        if self._concurrency.limit != limit:
            self._feed.limit_changed()
        running = [(other.sent, other.limit) for other in self._out]
        self._feed.report((began + outcome.ended for outcome in report.outcomes), running, now)
        self._contract.kept = self._contract.kept or report.keeps_contract
        for outcome in report.outcomes:
            out.works[outcome.position].finish(outcome)
        rest = [work for position, work in enumerate(out.works) if position not in started]
        if report.failure is not None:
            for work in rest:
                work.finish(report.failure)
            return
        self._pace.unused(len(rest))
        self._queue.extendleft(reversed(rest))

    async def _lost(self, out: Outstanding, reason: str) -> None:
        works = [work for work in out.works if not work.done.done()]
        logger.warning("a worker of the batch was lost with %d items (%s)", len(works), reason)
        may_repeat = await self.may_repeat()
        for work in reversed(works):
            work.losses += 1
            if may_repeat and work.losses < _MOST_LOSSES:
                self._queue.appendleft(work)
            else:
                work.finish(lost_error(work.losses, may_repeat=may_repeat))

    def _give_up(self, error: BaseException) -> None:
        """Leave everything that is not done to the coordinator's own process."""
        if self._unusable is None:
            self._unusable = type(error).__name__
            logger.warning(
                "the executor of the batch takes no more work (%s: %s); this process runs the rest",
                self._unusable,
                error,
            )
        for work in [*self._queue, *(work for out in self._out for work in out.works)]:
            work.finish(ExecutorUnusableError(self._unusable))
        self._queue.clear()
        self._on_change()
