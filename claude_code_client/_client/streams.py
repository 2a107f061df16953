"""What streaming methods give back: generators that can be closed from elsewhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

from ..errors import ClosedError
from ..models import TaskEvent

__all__ = ["AsyncStream", "AsyncTaskStream", "Stream", "TaskStream"]

T = TypeVar("T")

_ALREADY: Final = "already executing"
"""What Python says of a generator that another thread is in."""
_CLOSED: Final = "The stream is being closed."


class Progress(Protocol):
    """How far the events of a task have come."""

    @property
    def task_id(self) -> str | None: ...

    @property
    def last_event_id(self) -> str | None: ...


class Stream(Generator[T, None, None]):
    """Iterate over it; leaving the loop, its ``with`` or :meth:`close` ends it."""

    def __init__(self, generator: Generator[T, None, None], interrupt: Callable[[], None]) -> None:
        self._generator = generator
        self._cancel = interrupt
        self._closing = False

    def __next__(self) -> T:
        return self.send(None)

    def send(self, value: None, /) -> T:
        """As :meth:`__next__`."""
        try:
            return self._generator.send(value)
        except ValueError as error:
            if not (self._closing and _ALREADY in str(error)):
                raise
        raise ClosedError(_CLOSED)

    def throw(self, *error: Any) -> T:
        """Raise an exception where the stream is; a task that it follows is cancelled."""
        return self._generator.throw(*error)

    def close(self) -> None:
        """End it, from whichever thread. A thread that waits for the next item gets ClosedError at once; one that is
        connecting, when the connection is there or given up, after 10 seconds at most.
        """
        self._closing = True
        try:
            self._generator.close()
        except ValueError as error:
            if _ALREADY not in str(error):
                raise
            # Another thread is in it.
            self._cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncStream(AsyncGenerator[T, None]):
    """Iterate over it; leaving its ``async with``, or :meth:`aclose`, ends it."""

    def __init__(self, generator: AsyncGenerator[T, None], interrupt: Callable[[], None]) -> None:
        self._generator = generator
        self._cancel = interrupt
        self._closing = False

    async def __anext__(self) -> T:
        return await self.asend(None)

    async def asend(self, value: None, /) -> T:
        """As :meth:`__anext__`."""
        if self._closing and getattr(self._generator, "ag_running", False):
            raise ClosedError(_CLOSED)
        return await self._generator.asend(value)

    async def athrow(self, *error: Any) -> T:
        """Raise an exception where the stream is; a task that it follows is cancelled."""
        return await self._generator.athrow(*error)

    async def aclose(self) -> None:
        """End it, from whichever task. A task that waits for the next item gets ClosedError at once."""
        self._closing = True
        if getattr(self._generator, "ag_running", False):
            self._cancel()
        else:
            await self._generator.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class _Followed:
    _progress: Progress

    @property
    def task_id(self) -> str | None:
        """The task's id; None until it was submitted."""
        return self._progress.task_id

    @property
    def last_event_id(self) -> str | None:
        """The id of the last event that was given, for ``stream_events(task_id, after=…)``; None before the first."""
        return self._progress.last_event_id


class TaskStream(_Followed, Stream[TaskEvent]):
    """The events of a task, as they come. Leaving it early cancels a task that it submitted.

    Each event is given once, in order, also over connections that are cut.
    """

    def __init__(
        self, generator: Generator[TaskEvent, None, None], interrupt: Callable[[], None], progress: Progress
    ) -> None:
        super().__init__(generator, interrupt)
        self._progress = progress


class AsyncTaskStream(_Followed, AsyncStream[TaskEvent]):
    """The events of a task, as they come. Leaving it early cancels a task that it submitted.

    Each event is given once, in order, also over connections that are cut.
    """

    def __init__(
        self, generator: AsyncGenerator[TaskEvent, None], interrupt: Callable[[], None], progress: Progress
    ) -> None:
        super().__init__(generator, interrupt)
        self._progress = progress
