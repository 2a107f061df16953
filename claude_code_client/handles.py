"""Handles on tasks that run while the program does something else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from types import TracebackType
from typing import Any, Self

from ._seal import seal_async, sealed, sealed_async
from ._tasks import TaskRun
from ._transport import AsyncConnection, SyncConnection
from .models import AgenticTaskResponse, TaskEvent, Usage

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
        return self._task

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

    @sealed
    def events(self) -> Generator[TaskEvent, None, None]:
        """The task's events from the first one on, as they come. Exceptions are those of ``stream_task()``."""
        return self._connection.stream(self._run.events())

    @sealed
    def wait(self, timeout: float | None = None) -> AgenticTaskResponse:
        """Wait for the end. Exceptions are those of ``execute_task()``.

        Args:
            timeout: Seconds, after which the task is cancelled; else what it was submitted with.
        """
        return self._connection.run(self._run.wait(timeout))

    @sealed
    def refresh(self) -> AgenticTaskResponse:
        """Ask the server how the task stands."""
        return self._connection.run(self._run.refresh(self._connection.config.timeout))

    @sealed
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

    @sealed
    def events(self) -> AsyncGenerator[TaskEvent, None]:
        """The task's events from the first one on, as they come. Exceptions are those of ``stream_task()``."""
        return seal_async(self._connection.start(self._run.events()))

    @sealed_async
    async def wait(self, timeout: float | None = None) -> AgenticTaskResponse:
        """Wait for the end. Exceptions are those of ``execute_task()``.

        Args:
            timeout: Seconds, after which the task is cancelled; else what it was submitted with.
        """
        return await self._connection.run(self._run.wait(timeout))

    @sealed_async
    async def refresh(self) -> AgenticTaskResponse:
        """Ask the server how the task stands."""
        return await self._connection.run(self._run.refresh(self._connection.config.timeout))

    @sealed_async
    async def cancel(self) -> AgenticTaskResponse:
        """Cancel the task and wait for its end; one that has ended stays as it is."""
        return await self._connection.run(self._run.cancel(self._connection.config.timeout))
