# Generated from ../_async/task_handle.py by `make generate`; not to be edited.

"""Handle on a submitted task."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self, SupportsIndex

from ..._transport.sync_connection import SyncConnection
from ..._wire.requests import check_callback, check_waiting, cursor_after
from ...models import AgenticTaskResponse, TaskEvent, Usage
from ..artifact_reader import attach_reader
from ..pickling import refuse
from ..tracebacks import strip_tracebacks
from .streams import TaskStream, open_task_stream

if TYPE_CHECKING:
    from ..._operations.task_run import TaskRun


class TaskHandle:
    """Handle on a task submitted by ``ClaudeClient.submit_task()``.

    Leaving its ``with`` early, or interrupting a call that waits on it, cancels the task, unless it was
    detached.
    """

    def __init__(self, connection: SyncConnection, run: TaskRun) -> None:
        self._connection = connection
        self._run = run

    @property
    def _task(self) -> AgenticTaskResponse:
        assert self._run.task is not None  # noqa: S101 (a handle exists only once the server has responded)
        return self._run.task

    @property
    def id(self) -> str:
        """ID of the task."""
        return self._task.id

    @property
    def status(self) -> str:
        """Status of the task, as last reported by the server."""
        return self._task.status

    @property
    def usage(self) -> Usage:
        """Tokens and cost of the task, as last reported by the server."""
        return self._task.usage

    @property
    def task(self) -> AgenticTaskResponse:
        """The task, as last reported by the server."""
        return attach_reader(self._task, self._connection)

    def detach(self) -> None:
        """Leave the task running whatever happens to this handle and to calls that wait on it."""
        self._run.detach()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id!r}, status={self.status!r})"

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        refuse("A task handle", "pass its id: get_task(), stream_events() and cancel_task() of any client take it")

    def __enter__(self) -> Self:
        return self

    @strip_tracebacks
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.run_cleanup(self._run.leave)

    @strip_tracebacks
    def events(
        self,
        after: str | int | None = None,
        timeout: float | None = None,
        *,
        stall_timeout: float | None = None,
    ) -> TaskStream:
        """Stream the task's events, each once and in order.

        Args:
            after: ID of the last event that you have, from ``last_event_id``. Default: all events.
            timeout: Seconds from the first step after which the task is cancelled. Default: the timeout it was
                submitted with.
            stall_timeout: Seconds without an event after which the task is cancelled, with ``TaskStalledError``.

        Raises:
            ClaudeAPIError: As for ``stream_task()``.
        """
        cursor = cursor_after(after)
        check_waiting(timeout, stall_timeout)
        operation = self._run.events(cursor, timeout, stall_timeout=stall_timeout)
        return open_task_stream(self._connection, operation, cursor)

    @strip_tracebacks
    def wait(
        self,
        timeout: float | None = None,
        *,
        stall_timeout: float | None = None,
        on_event: Callable[[TaskEvent], object] | None = None,
    ) -> AgenticTaskResponse:
        """Wait for the end of the task and return it.

        Args:
            timeout: Seconds after which the task is cancelled. Default: the timeout it was submitted with.
            stall_timeout: Seconds without an event after which the task is cancelled, with ``TaskStalledError``.
            on_event: Called with each event of the task, from the first. An exception that it raises ends the call.

        Raises:
            ClaudeAPIError: As for ``execute_task()``.
        """
        check_waiting(timeout, stall_timeout)
        check_callback("on_event", on_event)
        operation = self._run.wait(timeout, stall_timeout=stall_timeout, watched=on_event is not None)
        return self._connection.run(operation, on_event)

    @strip_tracebacks
    def refresh(self) -> AgenticTaskResponse:
        """Fetch the task in its current state and return it.

        Raises:
            ClaudeAPIError: The call failed.
        """
        return self._connection.run(self._run.refresh(self._connection.config.timeout))

    @strip_tracebacks
    def cancel(self) -> AgenticTaskResponse:
        """Cancel the task and wait for its end. A task that has ended stays as it is.

        Raises:
            ClaudeAPIError: The call failed.
        """
        return self._connection.run(self._run.cancel(self._connection.config.timeout))
