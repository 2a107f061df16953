"""Handles on tasks that run while the program does something else."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from .._operations.task_run import TaskRun
from .._transport import AsyncConnection, SyncConnection
from .._wire.requests import check_callback, check_waiting, cursor_after
from ..models import AgenticTaskResponse, TaskEvent, Usage
from .artifact_reader import attach_reader
from .streams import AsyncTaskStream, TaskStream
from .tracebacks import strip_stream, strip_stream_async, strip_tracebacks, strip_tracebacks_async

__all__ = ["AsyncTaskHandle", "TaskHandle"]


class _Handle:
    """What both kinds of handle know without asking the server."""

    def __init__(self, connection: Any, run: TaskRun) -> None:
        self._connection = connection
        self._run = run

    @property
    def _task(self) -> AgenticTaskResponse:
        assert self._run.task is not None  # noqa: S101 (handles are made once the server has answered)
        return self._run.task

    @property
    def id(self) -> str:
        """The task's id."""
        return self._task.id

    @property
    def status(self) -> str:
        """The task's status, as it was last seen."""
        return self._task.status

    @property
    def usage(self) -> Usage:
        """Tokens and cost so far, as they were last seen."""
        return self._task.usage

    @property
    def task(self) -> AgenticTaskResponse:
        """The task, as it was last seen."""
        return attach_reader(self._task, self._connection)

    def detach(self) -> None:
        """Let the task live on, whatever becomes of this handle and of what waits for it."""
        self._run.detach()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id!r}, status={self.status!r})"


class TaskHandle(_Handle):
    """A task that was submitted, by ``ClaudeClient.submit_task()``.

    Leaving its ``with``, or what waits for it, early cancels the task; after ``detach()`` nothing does.
    """

    _connection: SyncConnection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.run(self._run.leave())

    @strip_tracebacks
    def events(
        self,
        after: str | int | None = None,
        timeout: float | None = None,
        *,
        stall_timeout: float | None = None,
    ) -> TaskStream:
        """The task's events as they come, each once. Exceptions are those of ``stream_task()``.

        Args:
            after: The id of the last event that you have, as ``last_event_id`` has it; all of them when left out.
            timeout: Seconds, after which the task is cancelled; else what it was submitted with.
            stall_timeout: Seconds without an event, after which the task is cancelled with TaskStalledError.
        """
        cursor = cursor_after(after)
        check_waiting(timeout, stall_timeout)
        generator, cancel = self._connection.stream(self._run.events(cursor, timeout, stall_timeout=stall_timeout))
        return TaskStream(strip_stream(generator), cancel, cursor)

    @strip_tracebacks
    def wait(
        self,
        timeout: float | None = None,
        *,
        stall_timeout: float | None = None,
        on_event: Callable[[TaskEvent], object] | None = None,
    ) -> AgenticTaskResponse:
        """Wait for the end. Exceptions are those of ``execute_task()``.

        Args:
            timeout: Seconds, after which the task is cancelled; else what it was submitted with.
            stall_timeout: Seconds without an event, after which the task is cancelled with TaskStalledError.
            on_event: Called with each of the task's events, from the first on; what it raises ends the call.
        """
        check_waiting(timeout, stall_timeout)
        check_callback("on_event", on_event)
        operation = self._run.wait(timeout, stall_timeout=stall_timeout, watched=on_event is not None)
        return self._connection.run(operation, on_event)

    @strip_tracebacks
    def refresh(self) -> AgenticTaskResponse:
        """Ask the server how the task stands."""
        return self._connection.run(self._run.refresh(self._connection.config.timeout))

    @strip_tracebacks
    def cancel(self) -> AgenticTaskResponse:
        """Cancel the task and wait for its end; one that has ended stays as it is."""
        return self._connection.run(self._run.cancel(self._connection.config.timeout))


class AsyncTaskHandle(_Handle):
    """A task that was submitted, by ``AsyncClaudeClient.submit_task()``.

    Leaving its ``async with``, or what waits for it, early cancels the task; after ``detach()`` nothing does.
    """

    _connection: AsyncConnection

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._connection.run(self._run.leave())

    @strip_tracebacks
    def events(
        self,
        after: str | int | None = None,
        timeout: float | None = None,
        *,
        stall_timeout: float | None = None,
    ) -> AsyncTaskStream:
        """The task's events as they come, each once. Exceptions are those of ``stream_task()``.

        Args:
            after: The id of the last event that you have, as ``last_event_id`` has it; all of them when left out.
            timeout: Seconds, after which the task is cancelled; else what it was submitted with.
            stall_timeout: Seconds without an event, after which the task is cancelled with TaskStalledError.
        """
        cursor = cursor_after(after)
        check_waiting(timeout, stall_timeout)
        generator, cancel = self._connection.stream(self._run.events(cursor, timeout, stall_timeout=stall_timeout))
        return AsyncTaskStream(strip_stream_async(generator), cancel, cursor)

    @strip_tracebacks_async
    async def wait(
        self,
        timeout: float | None = None,
        *,
        stall_timeout: float | None = None,
        on_event: Callable[[TaskEvent], object] | None = None,
    ) -> AgenticTaskResponse:
        """Wait for the end. Exceptions are those of ``execute_task()``.

        Args:
            timeout: Seconds, after which the task is cancelled; else what it was submitted with.
            stall_timeout: Seconds without an event, after which the task is cancelled with TaskStalledError.
            on_event: Called with each of the task's events, from the first on; what it raises ends the call; it may
                be a coroutine function.
        """
        check_waiting(timeout, stall_timeout)
        check_callback("on_event", on_event, may_be_async=True)
        operation = self._run.wait(timeout, stall_timeout=stall_timeout, watched=on_event is not None)
        return await self._connection.run(operation, on_event)

    @strip_tracebacks_async
    async def refresh(self) -> AgenticTaskResponse:
        """Ask the server how the task stands."""
        return await self._connection.run(self._run.refresh(self._connection.config.timeout))

    @strip_tracebacks_async
    async def cancel(self) -> AgenticTaskResponse:
        """Cancel the task and wait for its end; one that has ended stays as it is."""
        return await self._connection.run(self._run.cancel(self._connection.config.timeout))
