"""Coordinator of a batch whose items workers run: what the batch's engine needs of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import attrs

from ...._operations.account import get_health
from ...._transport.async_connection import AsyncConnection
from ....errors import ClaudeAPIError
from ...pickling import dump_config
from ..admission import LocalAdmission
from ..arguments import BatchOptions
from ..concurrency import AdaptiveConcurrency
from ..rate_limit import RequestPace
from ..run_state import RunState
from ..worker_key import check_worker_key
from .chunk import ChunkItem
from .dispatcher import Dispatcher
from .lease_file import LeaseFile
from .remote_calls import RemoteCalls
from .work import Terms


@attrs.frozen
class WorkerAdmission:
    """Admission of calls by workers; of calls by this process once there are no workers any more."""

    _dispatcher: Dispatcher
    _local: LocalAdmission
    _leases: LeaseFile | None

    def delay(self, calls: int, now: float) -> float | None:
        if not self._dispatcher.is_usable:
            return self._local.delay(calls, now)
        return 0.0 if calls < self._dispatcher.capacity else None

    def has_room(self, calls: int) -> bool:
        return True  # at the latest when the workers are found to take more

    def started(self, now: float) -> None:
        if not self._dispatcher.is_usable:
            self._local.started(now)

    def ended(self, now: float) -> None:
        if not self._dispatcher.is_usable:
            self._local.ended(now)

    def in_flight(self, calls: int) -> int:
        return self._dispatcher.in_flight if self._dispatcher.is_usable else calls

    async def aclose(self) -> None:
        await self._dispatcher.aclose()
        if self._leases is not None:
            self._leases.close()


def open_workers(
    options: BatchOptions,
    connection: AsyncConnection,
    run: RunState,
    concurrency: AdaptiveConcurrency,
    pace: RequestPace,
    *,
    observe: Callable[[float, int, Mapping[str, str]], object],
    on_change: Callable[[], object],
) -> tuple[WorkerAdmission, RemoteCalls]:
    """Return the admission of calls by workers, to be closed at the end of the batch, and the calls."""
    config, state = connection.config, run.state

    async def ask() -> None:
        with suppress(ClaudeAPIError):
            await connection.run(get_health(config))

    leases = _leases(run)

    def on_send(items: Sequence[ChunkItem]) -> None:
        if leases is not None:
            leases.write({item.index: item.lease for item in items if item.lease is not None})

    dispatcher = Dispatcher(
        options.executor,
        Terms(
            method=options.method,
            config=dump_config(config),
            worker_key=check_worker_key(options.worker_key),
            window=options.window,
            timeout=config.timeout,
        ),
        concurrency,
        pace,
        state=state,
        observe=observe,
        ask=ask,
        on_change=on_change,
        on_send=on_send,
    )
    calls = RemoteCalls(options.method, dispatcher, connection, state, pace, options.max_in_flight, leases)
    return WorkerAdmission(dispatcher, LocalAdmission(concurrency, pace), leases), calls


def _leases(run: RunState) -> LeaseFile | None:
    """Return the leases that an earlier run has left, and to which this one adds; None without a file or a budget."""
    if run.file is None or not run.state.budgets.active:
        return None
    leases = LeaseFile(run.file.path, run.batch_id)
    for index in [index for index in leases.left if run.file.has(index)]:
        leases.settle(index)
    return leases
