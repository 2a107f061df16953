# Generated from ../_async/tasks.py by `make generate`; not to be edited.

"""Client methods for tasks: run, stream, submit, recover, look up, cancel and list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from ..._wire.event_cursor import EventCursor
from ..._wire.extras import call_extras
from ..._wire.requests import check_callback, cursor_after
from ...models import AgenticTaskResponse, TaskEvent
from ..options import TaskOptions, expand_options, task_fields
from ..tracebacks import strip_tracebacks
from .base import Base
from .streams import Stream, TaskStream, open_stream, open_task_stream
from .task_handle import TaskHandle

if TYPE_CHECKING:
    from ..._operations.task_run import TaskRun

# Operations are imported when they are first used: many programs need completions only.


class Tasks(Base):
    """Agentic tasks: run, stream, submit, recover, look up and cancel."""

    @strip_tracebacks
    @expand_options(TaskOptions)
    def execute_task(
        self,
        description: str,
        allow_tools: Sequence[str] | None = None,
        allow_agents: Sequence[str] | None = None,
        allow_skills: Sequence[str] | None = None,
        timeout: float | None = None,
        max_cost: float | None = None,
        context: Mapping[str, Any] | None = None,
        *,
        stall_timeout: float | None = None,
        on_event: Callable[[TaskEvent], object] | None = None,
        **options: Unpack[TaskOptions],
    ) -> AgenticTaskResponse:
        """Run an agentic task and return it once it has ended.

        A task that ``failed`` or was ``cancelled`` is returned with that status.

        Args:
            description: What to do.
            allow_tools: Tools that the task may use, such as ``["Bash", "Read"]``. Default: the key's default tools.
            allow_agents: Agents that the task may spawn. Default: none.
            allow_skills: Skills that the task may invoke. Default: none.
            timeout: Seconds that the task may take. Default: the client's timeout.
            max_cost: USD that the task may cost. Default: 1.0.
            context: Further input for the task, as JSON types. ``result_schema`` in it is a JSON Schema: a task whose
                result does not conform fails.
            {options}
            stall_timeout: Seconds without an event after which the task counts as stalled and is cancelled. Default:
                off. A tool that runs for minutes produces no events meanwhile.
            on_event: Called with each event of the task. An exception that it raises ends the call.

        Raises:
            InvalidRequestError: An argument is invalid; nothing was sent.
            TimeoutError: The task exceeded its timeout; ``task`` holds the partial task.
            TaskStalledError: The task produced no event for ``stall_timeout`` seconds and was cancelled.
            CostExceededError: The task reached ``max_cost`` (``task`` holds the partial task), or an open budget does
                not allow the call (nothing was sent).
            ClaudeAPIError: The call failed in another way.
        """
        check_callback("on_event", on_event)
        fields = task_fields(description, allow_tools, allow_agents, allow_skills, timeout, max_cost, context)
        run = self._task_run({**fields, **options}, stall_timeout)
        return self._connection.run(run.execute(watched=on_event is not None), on_event)

    @strip_tracebacks
    @expand_options(TaskOptions)
    def stream_task(
        self,
        description: str,
        allow_tools: Sequence[str] | None = None,
        allow_agents: Sequence[str] | None = None,
        allow_skills: Sequence[str] | None = None,
        timeout: float | None = None,
        max_cost: float | None = None,
        context: Mapping[str, Any] | None = None,
        *,
        stall_timeout: float | None = None,
        **options: Unpack[TaskOptions],
    ) -> TaskStream:
        """Run an agentic task and stream its events, the ``result`` event last.

        Takes the arguments of :meth:`execute_task`. They are checked at once; the task is submitted with the first
        step of the loop, from which ``timeout`` counts too. Each event is a dict with ``type``, ``content``,
        ``timestamp`` and the fields of its type; event types that this version does not know are passed through. Each
        event is yielded once and in order: a connection that is lost, or silent for the client's
        ``stream_read_timeout``, is replaced by one that resumes after the last event.

        Raises:
            StreamInterruptedError: The events ended before the task did, and several reconnections brought no more.
                The task may still be running: pass ``task_id`` and ``last_event_id`` to :meth:`stream_events`.
            ClosedError: The stream or the client was closed elsewhere; the task is cancelled.
            ClaudeAPIError: As for :meth:`execute_task`, also for a task that ends with an ``error`` event.
        """
        fields = task_fields(description, allow_tools, allow_agents, allow_skills, timeout, max_cost, context)
        cursor = EventCursor()
        operation = self._task_run({**fields, **options}, stall_timeout).stream(cursor)
        return open_task_stream(self._connection, operation, cursor)

    @strip_tracebacks
    def stream_events(
        self,
        task_id: str,
        after: str | int | None = None,
        timeout: float | None = None,
        *,
        stall_timeout: float | None = None,
    ) -> TaskStream:
        """Stream the events of a task that was submitted elsewhere, or whose stream was interrupted.

        Behaves like :meth:`stream_task`, but leaving the loop, or reaching ``timeout``, leaves the task running.

        Args:
            task_id: ID of the task.
            after: ID of the last event that you have, from ``last_event_id``. Default: all events.
            timeout: Seconds for the whole stream, from its first step. Default: the client's timeout.
            stall_timeout: Seconds without an event after which the task counts as stalled and is cancelled. Default:
                off.

        Raises:
            NotFoundError: The server does not know the task.
            InvalidRequestError: ``after`` is not the ID of an event so far.
            ClaudeAPIError: As for :meth:`stream_task`.
        """
        from ..._operations import tasks

        cursor = cursor_after(after)
        operation = tasks.stream_events(
            self._config, self._connection.state, task_id, cursor, timeout=timeout, stall_timeout=stall_timeout
        )
        return open_task_stream(self._connection, operation, cursor)

    @strip_tracebacks
    @expand_options(TaskOptions)
    def submit_task(
        self,
        description: str,
        allow_tools: Sequence[str] | None = None,
        allow_agents: Sequence[str] | None = None,
        allow_skills: Sequence[str] | None = None,
        timeout: float | None = None,
        max_cost: float | None = None,
        context: Mapping[str, Any] | None = None,
        **options: Unpack[TaskOptions],
    ) -> TaskHandle:
        """Submit an agentic task and return as soon as the server has accepted it.

        Takes the arguments, and raises the exceptions, of :meth:`execute_task`. Use the handle in a ``with``:
        leaving it early cancels the task, unless it was detached.
        """
        fields = task_fields(description, allow_tools, allow_agents, allow_skills, timeout, max_cost, context)
        run = self._task_run({**fields, **options})
        try:
            self._connection.run(run.submit())
            return TaskHandle(self._connection, run)
        except BaseException:
            if run.task is not None:
                # Ctrl-C, after the server has accepted the task: nobody has a handle to cancel it.
                self._connection.run_cleanup(run.leave)
            raise

    @strip_tracebacks
    def recover(self) -> list[TaskHandle]:
        """Return handles on the unfinished tasks in the journal, such as those of a process that crashed.

        A task that the server never confirmed is submitted again with its own key, so that it runs once. Tasks that
        have ended meanwhile are included; tasks that the server rejected or does not know are not. If another running
        process writes to the same journal, its tasks are included too: detach their handles.

        Raises:
            ConfigurationError: The client has no journal.
            CostExceededError: An open budget does not allow what the tasks may cost.
            ClaudeAPIError: The server cannot be reached at the moment. The journal is unchanged: call again.
        """
        from ..._operations.recovery import recover

        runs = self._connection.run(recover(self._config, self._connection.state))
        return [TaskHandle(self._connection, run) for run in runs]

    @strip_tracebacks
    def get_task(self, task_id: str) -> AgenticTaskResponse:
        """Return a task in its current state.

        Raises:
            NotFoundError: The server does not know the task.
            ClaudeAPIError: The call failed in another way.
        """
        from ..._operations import tasks

        return self._connection.run(tasks.get_task(self._config, self._connection.state, task_id))

    @strip_tracebacks
    def cancel_task(self, task_id: str) -> AgenticTaskResponse:
        """Cancel a task and wait for its end. A task that has ended stays as it is.

        Raises:
            NotFoundError: The server does not know the task.
            ClaudeAPIError: The call failed in another way.
        """
        from ..._operations import tasks

        return self._connection.run(tasks.cancel_task(self._config, self._connection.state, task_id))

    @strip_tracebacks
    def list_tasks(self, status: str | None = None, *, page_size: int | None = None) -> Stream[AgenticTaskResponse]:
        """Iterate over all tasks of this key, newest first. Pages are requested as they are needed.

        Args:
            status: Only tasks with this status.
            page_size: Tasks per request, 1 to 100. Default: chosen by the server.

        Raises:
            InvalidRequestError: An argument is invalid; nothing was sent.
            ClaudeAPIError: A request failed; raised by the loop.
        """
        from ..._operations import tasks

        operation = tasks.list_tasks(self._config, status=status, page_size=page_size)
        return open_stream(self._connection, operation)

    def _task_run(self, fields: dict[str, Any], stall_timeout: float | None = None) -> TaskRun:
        from ..._operations.task_request import task_request
        from ..._operations.task_run import TaskRun

        key = fields.pop("idempotency_key", None)
        extras = call_extras(fields.pop("extra_body", None), fields.pop("extra_headers", None))
        request = task_request(self._config, fields, idempotency_key=key, stall_timeout=stall_timeout, extras=extras)
        return TaskRun(request, self._connection.state)
