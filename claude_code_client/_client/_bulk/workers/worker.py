"""Worker: runs the items of a chunk, wherever an executor calls it."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import attrs

from ...._policy.budget import ActiveBudgets, Budget
from ...._transport.foreign_errors import cleaned
from ....errors import ClaudeAPIError
from ..calls import operation
from ..items import Item
from .chunk import Chunk, ChunkItem, ChunkReport, ItemOutcome, Package, SeenResponse
from .coordinator_signal import CoordinatorWatch
from .runtime import WorkerRuntime, runtime_for

_GLANCE: Final = 0.25
"""Seconds between two looks at the coordinator."""
_LEAST: Final = 1e-9
"""USD. A budget cannot be empty, and a free item needs none."""
_MOST_SEEN: Final = 100
_HEADERS: Final = ("retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


def run_chunk(package: Package) -> ChunkReport:
    """Run the items of a chunk and report on them. Raises nothing that an item, or a missing key, is the reason of."""
    began = time.monotonic()
    chunk = package.open()
    try:
        with runtime_for(chunk.config, chunk.worker_key) as runtime:
            is_first, runtime.is_first = runtime.is_first, False
            worker = f"{socket.gethostname()}/{os.getpid()}/{threading.get_ident()}"
            return runtime.run(_ChunkRun(chunk, runtime, began, worker=worker, is_first=is_first).run())
    except ClaudeAPIError as error:
        return ChunkReport(failure=error.with_traceback(None), seconds=time.monotonic() - began)


class _ChunkRun:
    def __init__(self, chunk: Chunk, runtime: WorkerRuntime, began: float, *, worker: str, is_first: bool) -> None:
        self._chunk = chunk
        self._runtime = runtime
        self._began = began
        self._is_first = is_first
        self._worker = worker
        self._state = attrs.evolve(runtime.connection.state, models=chunk.models)
        self._connection = runtime.connection.observed(self._state, self._observe)
        self._next = 0
        self._outcomes: list[ItemOutcome] = []
        self._seen: list[SeenResponse] = []
        self._limits: SeenResponse | None = None
        """Last successful response with a rate limit."""

    async def run(self) -> ChunkReport:
        """Run the items."""
        watch = CoordinatorWatch(self._chunk.signal)
        workers = 0 if watch.has_ended() else self._chunk.concurrency
        calls = [asyncio.create_task(self._work()) for _ in range(workers)]
        watcher = asyncio.create_task(self._watch(watch, calls))
        try:
            if calls:
                await asyncio.wait(calls)
        finally:
            for task in (watcher, *calls):
                task.cancel()
            await asyncio.wait([watcher, *calls])
            watch.close()
        for call in calls:
            if not call.cancelled():
                call.result()
        return ChunkReport(
            outcomes=self._outcomes,
            seen=[*self._seen, *([] if self._limits is None else [self._limits])],
            seconds=self._elapsed(),
            worker=self._worker,
            is_first=self._is_first,
            keeps_contract=self._state.contract.kept,
        )

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    async def _watch(self, watch: CoordinatorWatch, calls: list[asyncio.Task[None]]) -> None:
        while not watch.has_ended():  # noqa: ASYNC110 (another process ends it)
            await asyncio.sleep(_GLANCE)
        for call in calls:
            call.cancel()

    async def _work(self) -> None:
        while await self._may_start():
            position, self._next = self._next, self._next + 1
            self._runtime.pace.started(time.monotonic())
            await self._run_item(position, self._chunk.items[position])

    async def _may_start(self) -> bool:
        """Wait for the server's rate limit, as far as this worker knows it; return whether a call may start."""
        while self._next < len(self._chunk.items):
            left = self._chunk.seconds - self._elapsed()
            if left <= 0 and self._next:  # a chunk that comes late makes some progress
                return False
            delay = self._runtime.pace.delay(time.monotonic())
            if delay <= 0:
                return True
            if delay >= left:
                return False
            await asyncio.sleep(delay)
        return False

    async def _run_item(self, position: int, item: ChunkItem) -> None:
        started = time.monotonic()
        budget = None if item.lease is None else Budget(max(item.lease, _LEAST))
        state = attrs.evolve(self._state, budgets=ActiveBudgets())
        if budget is not None:
            state.budgets.open(budget)
        response: Any = None
        failure: ClaudeAPIError | None = None
        try:
            # The parameters are the coordinator's, as is the package that they came in.
            parameters = pickle.loads(item.parameters)  # noqa: S301
            call = Item(
                index=position,
                custom_id="",
                source=None,
                parameters=parameters,
                idempotency_key=item.idempotency_key,
            )
            run = operation(self._chunk.method, call, self._connection.config, state)
            response = await self._connection.run(run)
        except Exception as error:
            failure = _failure(error)
        ended = time.monotonic()
        self._outcomes.append(
            ItemOutcome(
                position=position,
                response=response,
                error=failure,
                spent=0.0 if budget is None else budget.spent,
                is_open=budget is not None and budget.reserved > 0,
                ended=ended - self._began,
                seconds=ended - started,
            )
        )

    def _observe(self, status: int, headers: Mapping[str, str]) -> None:
        is_limited = self._runtime.pace.responded(time.monotonic(), status, headers)
        if status < 400 and not is_limited:
            return
        known = {name: value for name in _HEADERS if (value := headers.get(name)) is not None}
        seen = SeenResponse(self._elapsed(), status, known)
        if status < 400:
            self._limits = seen
        elif len(self._seen) < _MOST_SEEN:
            self._seen.append(seen)


def _failure(error: Exception) -> ClaudeAPIError:
    failure = cleaned(error)
    if not isinstance(failure, ClaudeAPIError):
        failure = ClaudeAPIError(f"The item failed at its worker: {type(failure).__name__}.", outcome_unknown=True)
    return failure.with_traceback(None)
