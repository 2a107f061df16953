"""Batch of a synchronous client: an iterator over results, on an engine in an event loop of its own.

Items are read in the caller's thread, as ``map()`` does, so that an iterator that belongs to its thread, such as a
database cursor, works. Calls run in the background thread, and go on while the caller is busy with a result.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Final, Generic, NoReturn, Self, SupportsIndex, TypeAlias

from ..._operations.client_state import ClientState
from ..._transport.async_connection import AsyncConnection
from ..._transport.attempts import Observe
from ..._transport.background_threads import is_collecting
from ..._transport.cancellation import CLOSED_DURING_CALL
from ..._transport.sync_connection import SyncConnection
from ...errors import ClosedError
from ..artifact_reader import attach_reader
from ..options import CompletionItem, TaskItem
from ..pickling import refuse
from ..tracebacks import strip_tracebacks
from .arguments import BatchOptions, batch_options
from .ending import report
from .engine import END, BatchEngine
from .items import DataclassItem
from .results import BatchProgress, BatchResult, R
from .sources import check_items, length_of

CompletionItems: TypeAlias = Iterable[str | CompletionItem | Mapping[str, Any] | DataclassItem]
TaskItems: TypeAlias = Iterable[str | TaskItem | Mapping[str, Any] | DataclassItem]

_CHUNK: Final = 64
"""Items that cross to the other thread together, if the caller's iterator is fast."""
_PROMPTLY: Final = 0.002
"""Seconds that an item may wait for further ones."""
_PATIENCE: Final = 10.0
"""Seconds to wait for the end of the engine."""


class Batch(Generic[R]):
    """Iterator over the results of a batch. Leaving its ``with``, or :meth:`close`, ends the batch."""

    def __init__(self, options: BatchOptions, items: Any, connection: SyncConnection) -> None:
        self._options = options
        self._connection = connection
        self._items: Iterator[Any] | None = iter(items)
        self._failure: BaseException | None = None
        """Exception of the caller's iterator, to be raised after the results of the items before it."""
        self._thread = _EngineThread(options, connection, length_of(items))
        self._fed = self._given = 0
        self._is_over = False

    @property
    def progress(self) -> BatchProgress:
        """State of the batch: how many items are done, what they have cost, how long the rest will take."""
        return self._thread.engine.progress

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> BatchResult[R]:
        result = self._next()
        if result is END:
            raise StopIteration
        found: BatchResult[R] = result
        return found

    @strip_tracebacks
    def _next(self) -> Any:
        try:
            result = self._wait_for_next()
        except BaseException as error:
            self._leave(error)
            raise
        if result is not END:
            attach_reader(result.response, self._connection)
            attach_reader(result.error, self._connection)
        return result

    def _wait_for_next(self) -> Any:
        thread, engine = self._thread, self._thread.engine
        if self._is_over:
            return END
        thread.start()
        while not engine.ready:
            if engine.finished:
                return self._end()
            if self._items is not None and self._fed - self._given < self._options.window:
                self._feed(self._items)
            else:
                thread.wait()
        self._given += 1
        thread.taken()
        return engine.ready.popleft()

    def _end(self) -> Any:
        self._is_over = True
        engine = self._thread.engine
        failure = engine.failure or self._failure
        engine.failure = self._failure = None
        if failure is not None:
            raise failure
        return END

    def _feed(self, items: Iterator[Any]) -> None:
        """Read items and pass them to the engine."""
        room = min(self._options.window - (self._fed - self._given), _CHUNK)
        chunk: list[Any] = []
        began = time.monotonic()
        try:
            while len(chunk) < room and not self._thread.engine.ready:
                item = next(items, END)
                if item is END:
                    self._items = None
                    break
                chunk.append(item)
                if time.monotonic() - began > _PROMPTLY:
                    break
        except Exception as error:  # of the caller's iterator; what was started is finished
            self._items, self._failure = None, error
        finally:
            self._fed += len(chunk)
            self._thread.feed(chunk, more=self._items is not None)

    @strip_tracebacks
    def close(self) -> None:
        """End the batch: cancel the calls in progress and close the results file. Can be called more than once."""
        self._leave(None)

    def _leave(self, error: BaseException | None) -> None:
        self._is_over = True
        self._items = None
        self._thread.stop(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave(error)

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse("A batch", "pass on its items and the path of its results file")

    def __del__(self) -> None:
        thread: _EngineThread | None = getattr(self, "_thread", None)
        if thread is None or not thread.is_running:
            return
        if is_collecting():
            thread.signal_stop()
        else:
            thread.stop(dropped=True)


class _EngineThread:
    """Engine in an event loop in a thread. The client's connection, or the end of the process, ends it."""

    def __init__(self, options: BatchOptions, connection: SyncConnection, total: int | None) -> None:
        self._options = options
        self._connection = connection
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._fed: deque[Any] = deque()
        self._has_fed: asyncio.Event | None = None
        self._untold = 0
        """Results that were taken, of which the engine does not know yet."""
        self._stopped = False
        self.engine = BatchEngine(
            options,
            self._source,
            self._connect,
            connection.config,
            connection.state,
            total=total,
            on_ready=lambda: self._wake.put(None),
        )

    @property
    def is_running(self) -> bool:
        """True between the start and the end of the engine."""
        return self._thread is not None and not self.engine.finished

    def start(self) -> None:
        """Start the thread, unless it was started before. Raises ConfigurationError if the client is closed."""
        if self._thread is not None:
            return
        self._connection.keep(self)
        # A daemon: the process does not wait for it, but the pool ends it when the process does.
        self._thread = threading.Thread(target=self._run, name="claude-code-client: batch", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until there is a result, or an end."""
        self._tell()
        self._wake.get()
        while not self._wake.empty():
            self._wake.get_nowait()

    def feed(self, items: list[Any], *, more: bool) -> None:
        """Pass items to the engine."""
        self._fed.extend(items)
        if not more:
            self._fed.append(END)
        self._call(self._note_fed)

    def taken(self) -> None:
        """Note that the caller has taken a result."""
        self._untold += 1
        if self._untold >= _CHUNK // 2:
            self._tell()

    def stop(self, error: BaseException | None = None, *, dropped: bool = False) -> None:
        """End the engine, wait until it has cleaned up, and report how to go on; ``error`` is why it ends."""
        thread = self._thread
        if thread is None or self.engine.finished:
            return
        self.signal_stop()
        progress = self.engine.progress
        try:
            if thread is not threading.current_thread():
                thread.join(_PATIENCE)
        finally:
            report(self._options, progress, error, dropped=dropped)

    def end(self) -> None:
        """End the engine, for its client that is being closed."""
        self.stop()

    def abort(self) -> None:
        """End the engine, for the process that is ending."""
        self.stop()

    def signal_stop(self) -> None:
        """End the engine without waiting."""
        self._stopped = True
        self._call(self._stop_engine)

    def _tell(self) -> None:
        if self._untold:
            count, self._untold = self._untold, 0
            self._call(self.engine.taken, count)

    def _call(self, function: Any, *arguments: Any) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(function, *arguments)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        finally:
            self.engine.finished = True
            self._wake.put(None)

    async def _main(self) -> None:
        self._has_fed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        running = asyncio.ensure_future(self.engine.run())
        await asyncio.sleep(0)
        self._note_fed()
        if self._stopped:
            self._stop_engine()
        await running

    def _stop_engine(self) -> None:
        self.engine.stop(ClosedError(CLOSED_DURING_CALL))

    def _note_fed(self) -> None:
        if self._has_fed is not None:
            self._has_fed.set()

    async def _source(self) -> Any:
        while not self._fed:
            assert self._has_fed is not None  # noqa: S101
            self._has_fed.clear()
            if self._fed:
                break
            await self._has_fed.wait()
        return self._fed.popleft()

    def _connect(self, state: ClientState, observe: Observe) -> AsyncConnection:
        return AsyncConnection(self._connection.config, state, observe=observe)


def open_batch(
    connection: SyncConnection, method: str, items: Any, shared: Mapping[str, Any], **options: Any
) -> Batch[Any]:
    """Return a batch, which begins with the first result that is asked for. Raises ConfigurationError."""
    check_items(items)
    return Batch(batch_options(method, shared, **options), items, connection)
