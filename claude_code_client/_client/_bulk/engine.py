"""Engine of a batch: reads items, keeps as many calls in flight as the server takes, and delivers the results.

It runs in one event loop: that of the caller of an asynchronous client, or one in a thread of its own for a synchronous
client. Its memory does not grow with the items: an item is read when there is room for its result.
"""

from __future__ import annotations

import asyncio
import builtins
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from ..._config import Config
from ..._operations.client_state import ClientState
from ..._transport.async_connection import AsyncConnection
from ..._transport.attempts import Observe
from ..._transport.foreign_errors import cleaned
from ...errors import AuthenticationError, ClaudeAPIError, TimeoutError
from ..artifact_reader import attach_reader
from .admission import Admission, LocalAdmission
from .arguments import BatchOptions
from .calls import CallRunner, LocalCalls
from .concurrency import AdaptiveConcurrency
from .delivery import ResultDelivery, ended
from .items import Item, ItemReader
from .lanes import Lanes
from .meter import BatchMeter
from .progress_display import ProgressReporter
from .rate_limit import RequestPace
from .result_lines import is_final
from .results import BatchProgress, BatchResult
from .run_state import RunState, open_run

END: Final = object()
"""Returned by a source that has no more items."""
_OVERLOADED: Final = frozenset({502, 503, 504, 529})
_SLOW: Final = 0.005
"""Seconds. A source that takes longer for an item holds the calls back."""

Source = Callable[[], Awaitable[Any]]
Connect = Callable[[ClientState, Observe], AsyncConnection]


class BatchEngine:
    """Run of one batch."""

    def __init__(
        self,
        options: BatchOptions,
        source: Source,
        connect: Connect,
        config: Config,
        state: ClientState,
        *,
        total: int | None,
        on_ready: Callable[[], object],
    ) -> None:
        self.failure: BaseException | None = None
        """Exception that has ended the batch, to be raised once ``ready`` is empty."""
        self.finished = False
        self._options = options
        self._source = source
        self._connect = connect
        self._config = config
        self._client_state = state
        self._on_ready = on_ready
        self._delivery = ResultDelivery(options.ordered, self._arrived, self._end_with)
        self._concurrency = AdaptiveConcurrency(options.max_in_flight)
        self._pace = RequestPace()
        self._admission: Admission = LocalAdmission(self._concurrency, self._pace)
        self._meter = BatchMeter(total, time.monotonic())
        self._reporter = ProgressReporter(options.progress)
        self._run: RunState
        self._reader: ItemReader
        self._connection: AsyncConnection
        self._runner: CallRunner
        self._lanes = Lanes(self._next_item, self._call, self._end_with)
        self._source_failure: Exception | None = None
        self._read = self._taken = 0
        self._overdue = False
        self._stopped: ClaudeAPIError | None = None
        self._fatal: asyncio.Future[None] | None = None
        self._main: asyncio.Task[Any] | None = None

    @property
    def ready(self) -> deque[BatchResult[Any]]:
        """Results that the caller has not taken yet."""
        return self._delivery.ready

    @property
    def progress(self) -> BatchProgress:
        """State of the batch."""
        in_flight = self._admission.in_flight(self._lanes.calls)
        return self._meter.progress(time.monotonic(), in_flight, self._concurrency.limit)

    def taken(self, count: int) -> None:
        """Note that the caller has taken results."""
        was_full = self._read - self._taken >= self._options.window
        self._taken += count
        if was_full:
            self._lanes.changed.set()

    def stop(self, error: ClaudeAPIError | None) -> None:
        """End the batch: cancel what runs. ``error`` is for whoever waits for the next result."""
        self._stopped = self._stopped or error
        if self._main is not None and not self.finished:
            self._main.cancel()

    async def run(self) -> None:
        """Run the batch to its end. Never raises: ``failure`` says why it ended early."""
        self._main = asyncio.current_task()
        try:
            await self._run_until_deadline()
        except asyncio.CancelledError:
            self.failure = self._stopped
        except BaseException as error:
            self.failure = error
        finally:
            await self._clean_up()
            self.finished = True
            self._on_ready()

    async def _run_until_deadline(self) -> None:
        self._fatal = asyncio.get_running_loop().create_future()
        await self._open()
        pump = asyncio.create_task(self._pump())
        scope = asyncio.timeout(self._options.deadline)
        try:
            async with scope:
                await asyncio.wait({pump, self._fatal}, return_when=asyncio.FIRST_COMPLETED)
        except builtins.TimeoutError:
            if not scope.expired():
                raise
            self._overdue = True
        finally:
            if not pump.done():
                pump.cancel()
            await ended({pump})
        if self._overdue:
            await self._lanes.cancel()
        if self._fatal.done():
            self._fatal.result()
        if not pump.cancelled():
            pump.result()

    async def _open(self) -> None:
        self._run = await asyncio.to_thread(open_run, self._options, self._client_state)
        self._meter.cost = self._run.cost
        self._delivery.file = self._run.file
        self._reader = ItemReader(
            method=self._options.method,
            shared=self._options.shared,
            known=self._options.known,
            batch_id=self._run.batch_id,
        )
        self._connection = self._connect(self._run.state, lambda *response: self._observe(time.monotonic(), *response))
        await self._run.fetch_prices(self._options.method, self._connection)
        calls = LocalCalls(self._options.method, self._connection, self._run.state)
        run = calls.run if self._options.executor is None else self._open_workers()
        self._runner = CallRunner(run, self._concurrency.held_back)

    def _open_workers(self) -> Callable[[Item], Awaitable[Any]]:
        from .workers.coordinator import open_workers  # most batches run in one process

        shared = (self._options, self._connection, self._run, self._concurrency, self._pace)
        self._admission, calls = open_workers(*shared, observe=self._observe, on_change=self._lanes.changed.set)
        return calls.run

    async def _clean_up(self) -> None:
        await self._lanes.cancel()
        if self._fatal is not None and self._fatal.done() and not self._fatal.cancelled():
            self.failure = self.failure or self._fatal.exception()
        await self._delivery.written()
        await self._admission.aclose()
        if hasattr(self, "_run"):
            self._run.close()
        try:
            self._reporter.update(lambda: self.progress, last=True)
        except Exception as error:
            self.failure = self.failure or error

    async def _pump(self) -> None:
        """Run all items, until they have ended and their results are written."""
        await self._lanes.run(self._admission)
        await self._delivery.written()
        if self._source_failure is not None:
            raise self._source_failure

    async def _next_item(self) -> Item | None:
        """Read items up to one that is to be run; return None if there are no more."""
        while True:
            while self._read - self._taken >= self._options.window:
                self._concurrency.held_back()  # by the caller, who does not take results
                await self._lanes.change()
            before = time.monotonic()
            try:
                source = await self._source()
            except Exception as error:
                self._source_failure = error  # of the caller's iterator; what was started is finished
                return None
            if source is END:
                return None
            if time.monotonic() - before > _SLOW:
                self._concurrency.held_back()
            index, self._read = self._read, self._read + 1
            try:
                item = self._reader.read(index, source)
            except ClaudeAPIError as error:
                self._delivery.finish(_failed(index, source, error))
                continue
            done = self._run.read(item)
            if done is None:
                return item
            attach_reader(done.response, self._connection)
            self._delivery.arrive(done)
            if index % 64 == 0:
                await asyncio.sleep(0)  # the caller takes them meanwhile

    async def _call(self, item: Item) -> None:
        try:
            response = await self._runner.run(item)
        except asyncio.CancelledError:
            if not self._overdue:
                raise
            self._delivery.finish(_result(item, error=_late(self._options.deadline)))
            return
        except Exception as error:
            failure = cleaned(error)
            if not isinstance(failure, ClaudeAPIError):
                raise failure from None  # of the caller's code, such as a method of an argument
        else:
            self._admission.ended(time.monotonic())
            is_cached = getattr(response, "cached", False)
            self._delivery.finish(_result(item, response=response, cost=0.0 if is_cached else response.usage.cost))
            return
        self._admission.ended(time.monotonic())
        if isinstance(failure, AuthenticationError) or self._options.on_error == "raise":
            # Without a valid key, every other item would fail too.
            failure.add_note(f"Item {item.index} ({item.custom_id}) of {self._options.method}().")
            if is_final(result := _result(item, error=failure)):
                self._delivery.finish(result)
            raise failure
        self._delivery.finish(_result(item, error=failure))

    def _arrived(self, result: BatchResult[Any]) -> None:
        self._meter.note(result, time.monotonic())
        try:
            self._reporter.update(lambda: self.progress)
        except Exception as error:  # of the caller's function
            self._end_with(error)
        self._on_ready()

    def _end_with(self, error: BaseException) -> None:
        if self._fatal is not None and not self._fatal.done():
            self._fatal.set_exception(error)

    def _observe(self, at: float, status: int, headers: Mapping[str, str]) -> None:
        is_limited = self._pace.responded(at, status, headers)
        if status in _OVERLOADED or (status == 429 and not is_limited):
            self._concurrency.overloaded(self._admission.in_flight(self._lanes.calls))
        if is_limited:
            self._lanes.changed.set()


def _result(
    item: Item, *, response: Any = None, error: ClaudeAPIError | None = None, cost: float = 0.0
) -> BatchResult[Any]:
    if error is not None and error.task is not None:
        cost = error.task.usage.cost
    return BatchResult(
        index=item.index,
        custom_id=item.custom_id,
        item=item.source,
        idempotency_key=item.idempotency_key,
        response=response,
        error=error,
        cost=cost,
    )


def _failed(index: int, source: object, error: ClaudeAPIError) -> BatchResult[Any]:
    return BatchResult(
        index=index, custom_id=str(index), item=source, idempotency_key="", error=error.with_traceback(None)
    )


def _late(deadline: float | None) -> TimeoutError:
    return TimeoutError(
        f"The batch reached its deadline of {deadline:g} s while the item was in progress, and the item was cancelled. "
        "Start the batch again with the same results file to run what is missing.",
        outcome_unknown=True,
    )
