# Generated from ../_async/streams.py by `make generate`; not to be edited.

"""Streams: generators that can be closed from another thread."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import Any, Final, NoReturn, Self, SupportsIndex, TypeVar

from claude_code_common.rate_limit import RateLimit

from ..._operations.effects import Operation
from ..._transport.sync_connection import SyncConnection
from ..._transport.sync_stream import SyncStream
from ..._wire.event_cursor import EventCursor
from ..._wire.response_headers import rate_limit
from ...errors import ClosedError
from ...models import TaskEvent
from ..pickling import refuse
from ..tracebacks import strip_stream

T = TypeVar("T")

_CLOSED: Final = "The stream is being closed."


class Stream(Generator[T, None, None]):
    """Iterator over results. Leaving the loop, its ``with`` or :meth:`close` ends it."""

    def __init__(self, generator: Generator[T, None, None], source: SyncStream) -> None:
        self._generator = generator
        self._source = source
        self._closing = False

    def __next__(self) -> T:
        return self.send(None)

    def send(self, value: None, /) -> T:
        """Return the next item, like :meth:`__next__`."""
        if not self._closing:
            self._source.check_loop()
        try:
            return self._generator.send(value)
        except (RuntimeError, ValueError) as error:
            if not ((self._closing or self._source.is_cancelled) and _is_busy(error)):
                raise
        raise ClosedError(_CLOSED)

    def throw(self, *error: Any) -> T:
        """Raise an exception inside the stream. A task that the stream submitted is cancelled."""
        return self._generator.throw(*error)

    def close(self) -> None:
        """End the stream, from any thread. A thread that waits for the next item gets ClosedError at once; a thread
        that is connecting, once it is connected or has given up, after 10 seconds at most."""
        self._closing = True
        try:
            self._generator.close()
        except (RuntimeError, ValueError) as error:
            if not _is_busy(error):
                raise
            self._source.cancel()

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse("A stream", "pass on its items, or for a task its task_id and last_event_id, for stream_events()")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class TaskStream(Stream[TaskEvent]):
    """Events of a task, each once and in order, across reconnections.

    Leaving the stream early cancels a task that the stream submitted.
    """

    def __init__(self, generator: Generator[TaskEvent, None, None], source: SyncStream, cursor: EventCursor) -> None:
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


def open_stream(connection: SyncConnection, operation: Operation[Any]) -> Stream[Any]:
    """Return a stream of the values that an operation emits."""
    source = connection.stream(operation)
    return Stream(strip_stream(source), source)


def open_task_stream(connection: SyncConnection, operation: Operation[Any], cursor: EventCursor) -> TaskStream:
    """Return a stream of task events; the operation advances ``cursor``."""
    source = connection.stream(operation)
    return TaskStream(strip_stream(source), source, cursor)


def _is_busy(error: Exception) -> bool:
    """Return whether Python refused the call because another thread is inside the generator."""
    return "already running" in str(error) or "already executing" in str(error)
