"""Streams: generators that can be closed from another task."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, Final, NoReturn, Self, SupportsIndex, TypeVar

from claude_code_common.rate_limit import RateLimit

from ..._operations.effects import Operation
from ..._transport.async_connection import AsyncConnection
from ..._transport.async_execution import AsyncExecution
from ..._wire.event_cursor import EventCursor
from ..._wire.response_headers import rate_limit
from ...errors import ClosedError
from ...models import TaskEvent
from ..pickling import refuse
from ..tracebacks import strip_stream_async

T = TypeVar("T")

_CLOSED: Final = "The stream is being closed."


class AsyncStream(AsyncGenerator[T, None]):
    """Iterator over results. Leaving the loop, its ``async with`` or :meth:`aclose` ends it."""

    def __init__(self, generator: AsyncGenerator[T, None], source: AsyncExecution[Any]) -> None:
        self._generator = generator
        self._source = source
        self._closing = False

    async def __anext__(self) -> T:
        return await self.asend(None)

    async def asend(self, value: None, /) -> T:
        """Return the next item, like :meth:`__anext__`."""
        if not self._closing:
            self._source.check_loop()
        try:
            return await self._generator.asend(value)
        except (RuntimeError, ValueError) as error:
            if not ((self._closing or self._source.is_cancelled) and _is_busy(error)):
                raise
        raise ClosedError(_CLOSED)

    async def athrow(self, *error: Any) -> T:
        """Raise an exception inside the stream. A task that the stream submitted is cancelled."""
        return await self._generator.athrow(*error)

    async def aclose(self) -> None:
        """End the stream, from any task. A task that waits for the next item gets ClosedError at once."""
        self._closing = True
        try:
            await self._generator.aclose()
        except (RuntimeError, ValueError) as error:
            if not _is_busy(error):
                raise
            self._source.cancel()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse("A stream", "pass on its items, or for a task its task_id and last_event_id, for stream_events()")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class AsyncTaskStream(AsyncStream[TaskEvent]):
    """Events of a task, each once and in order, across reconnections.

    Leaving the stream early cancels a task that the stream submitted.
    """

    def __init__(
        self, generator: AsyncGenerator[TaskEvent, None], source: AsyncExecution[Any], cursor: EventCursor
    ) -> None:
        super().__init__(generator, source)
        self._cursor = cursor

    @property
    def task_id(self) -> str | None:
        """ID of the task; None until the task is submitted."""
        return self._cursor.task_id

    @property
    def last_event_id(self) -> str | None:
        """ID of the last event yielded, for ``stream_events(task_id, after=…)``; None before the first."""
        return self._cursor.last_event_id

    @property
    def request_id(self) -> str | None:
        """``X-Request-Id`` of the latest connection, for reports to the server's operator; None before the first."""
        return self._cursor.headers.get("x-request-id")

    @property
    def rate_limit(self) -> RateLimit | None:
        """Rest of the server's rate limit, if the response to the latest connection stated it."""
        return rate_limit(self._cursor.headers)


def open_stream(connection: AsyncConnection, operation: Operation[Any]) -> AsyncStream[Any]:
    """Return a stream of the values that an operation emits."""
    source = connection.stream(operation)
    return AsyncStream(strip_stream_async(source), source)


def open_task_stream(connection: AsyncConnection, operation: Operation[Any], cursor: EventCursor) -> AsyncTaskStream:
    """Return a stream of task events; the operation advances ``cursor``."""
    source = connection.stream(operation)
    return AsyncTaskStream(strip_stream_async(source), source, cursor)


def _is_busy(error: Exception) -> bool:
    """Return whether Python refused the call because another task is inside the generator."""
    return "already running" in str(error) or "already executing" in str(error)
