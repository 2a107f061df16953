"""Agentic tasks, as methods of the synchronous client."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..._operations import tasks as operations
from ..._operations.recovery import unfinished
from ..._operations.task_request import task_request
from ..._operations.task_run import TaskRun
from ..._wire.event_cursor import EventCursor
from ..._wire.requests import check_callback, cursor_after
from ...models import AgenticTaskResponse, TaskEvent
from ..base import SyncBase
from ..handles import TaskHandle
from ..streams import Stream, TaskStream
from ..tracebacks import strip_tracebacks


class SyncTasks(SyncBase):
    @strip_tracebacks
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
        model: str | None = None,
        working_directory: str | None = None,
        idempotency_key: str | None = None,
        stall_timeout: float | None = None,
        on_event: Callable[[TaskEvent], object] | None = None,
    ) -> AgenticTaskResponse:
        """Run an agentic task and wait for its end.

        A task that ``failed`` or was ``cancelled`` is returned with that status.

        Args:
            description: What is to be done.
            allow_tools: Tools that it may use, as ``["Bash", "Read"]``; what the key may use by default when left out.
            allow_agents: Agents that it may spawn.
            allow_skills: Skills that it may invoke.
            timeout: Seconds that it may take; else the client's.
            max_cost: USD that it may cost; the server's default is 1.0.
            context: More for it to know, as JSON types.
            model: ``"haiku"``, ``"sonnet"``, ``"opus"`` or a full model id; the server chooses when left out.
            working_directory: Where it works, inside the server's workspace.
            idempotency_key: Calls with the same key are one task; new for each call when left out.
            stall_timeout: Seconds without an event after which the task counts as stalled and is cancelled; off when
                left out. A tool that runs for minutes makes no event meanwhile.
            on_event: Called with each of the task's events while it waits; what it raises ends the call.

        Raises:
            InvalidRequestError: An argument is out of range; nothing was sent.
            TimeoutError: It ran past its timeout; ``task`` has what there is.
            TaskStalledError: It made no event for ``stall_timeout``, and was cancelled.
            CostExceededError: It was ended at ``max_cost``; ``task`` has what there is.
            ClaudeAPIError: Any other way in which the call failed.
        """
        check_callback("on_event", on_event)
        request = task_request(
            self._config,
            {
                "description": description,
                "allow_tools": allow_tools,
                "allow_agents": allow_agents,
                "allow_skills": allow_skills,
                "timeout": timeout,
                "max_cost": max_cost,
                "context": context,
                "model": model,
                "working_directory": working_directory,
            },
            idempotency_key=idempotency_key,
            stall_timeout=stall_timeout,
        )
        run = TaskRun(request, self._connection.state)
        return self._connection.run(run.execute(watched=on_event is not None), on_event)

    @strip_tracebacks
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
        model: str | None = None,
        working_directory: str | None = None,
        idempotency_key: str | None = None,
        stall_timeout: float | None = None,
    ) -> TaskStream:
        """Run an agentic task and give its events as they come, the ``result`` event last.

        Arguments are those of :meth:`execute_task`; they are checked at once, the task is submitted with the first
        step of the loop. Each event is a dict with ``type``, ``content`` and ``timestamp``, and its type's own fields;
        types that this version does not know are passed on. Each is given once and in order: a connection that is cut,
        or silent for the client's ``stream_read_timeout``, is replaced by one that goes on after the last event.

        Raises:
            StreamInterruptedError: The events ended before the task did, and several new connections brought no more;
                the task may still run. ``task_id`` and ``last_event_id`` are what :meth:`stream_events` takes.
            ClosedError: The stream, or the client, was closed from elsewhere; the task is cancelled.
            ClaudeAPIError: As :meth:`execute_task`, also for a task that ends with an ``error`` event.
        """
        request = task_request(
            self._config,
            {
                "description": description,
                "allow_tools": allow_tools,
                "allow_agents": allow_agents,
                "allow_skills": allow_skills,
                "timeout": timeout,
                "max_cost": max_cost,
                "context": context,
                "model": model,
                "working_directory": working_directory,
            },
            idempotency_key=idempotency_key,
            stall_timeout=stall_timeout,
        )
        cursor = EventCursor()
        return self._connection.follow(TaskRun(request, self._connection.state).stream(cursor), cursor)

    @strip_tracebacks
    def stream_events(
        self,
        task_id: str,
        after: str | int | None = None,
        timeout: float | None = None,
        *,
        stall_timeout: float | None = None,
    ) -> TaskStream:
        """The events of a task that was submitted elsewhere, or whose stream has ended early; as :meth:`stream_task`.

        Leaving the loop, and a ``timeout``, leave the task running.

        Args:
            task_id: The task's id.
            after: The id of the last event that you have, as ``last_event_id`` has it; all of them when left out.
            timeout: Seconds for the whole stream; else the client's.
            stall_timeout: Seconds without an event after which the task counts as stalled and is cancelled; off when
                left out.

        Raises:
            NotFoundError: The server does not know the task.
            InvalidRequestError: ``after`` is no event that has happened.
            ClaudeAPIError: As :meth:`stream_task`.
        """
        cursor = cursor_after(after)
        operation = operations.stream_events(
            self._config, task_id, cursor, timeout=timeout, stall_timeout=stall_timeout
        )
        return self._connection.follow(operation, cursor)

    @strip_tracebacks
    def submit_task(
        self,
        description: str,
        allow_tools: Sequence[str] | None = None,
        allow_agents: Sequence[str] | None = None,
        allow_skills: Sequence[str] | None = None,
        timeout: float | None = None,
        max_cost: float | None = None,
        context: Mapping[str, Any] | None = None,
        *,
        model: str | None = None,
        working_directory: str | None = None,
        idempotency_key: str | None = None,
    ) -> TaskHandle:
        """Submit an agentic task, and return as soon as the server has it.

        Arguments and exceptions are those of :meth:`execute_task`. Use the handle in a ``with``: leaving it early
        cancels the task, unless it was detached.
        """
        request = task_request(
            self._config,
            {
                "description": description,
                "allow_tools": allow_tools,
                "allow_agents": allow_agents,
                "allow_skills": allow_skills,
                "timeout": timeout,
                "max_cost": max_cost,
                "context": context,
                "model": model,
                "working_directory": working_directory,
            },
            idempotency_key=idempotency_key,
        )
        run = TaskRun(request, self._connection.state)
        self._connection.run(run.submit())
        return TaskHandle(self._connection, run)

    @strip_tracebacks
    def recover(self) -> list[TaskHandle]:
        """Find the tasks that the journal has as unfinished, such as those of a process that has crashed.

        What the server never confirmed is submitted once more with its own key, so that it runs once. Tasks that have
        ended meanwhile are among the handles; those that the server never took, or does not know, are not. A journal
        that another living process writes to has that one's tasks too: detach their handles.

        Raises:
            ConfigurationError: This client has no journal.
            ClaudeAPIError: The server cannot be asked at the moment. The journal still has all of them: call again.
        """
        deadline = time.monotonic() + self._config.timeout
        handles = []
        for run, task_id in unfinished(self._config, self._connection.state):
            if self._connection.run(run.recover(task_id, deadline)):
                handles.append(TaskHandle(self._connection, run))
        return handles

    @strip_tracebacks
    def get_task(self, task_id: str) -> AgenticTaskResponse:
        """A task as it stands. Raises NotFoundError if the server does not know it."""
        return self._connection.run(operations.get_task(self._config, task_id))

    @strip_tracebacks
    def cancel_task(self, task_id: str) -> AgenticTaskResponse:
        """Cancel a task and wait for its end; one that has ended stays as it is. Raises NotFoundError."""
        return self._connection.run(operations.cancel_task(self._config, task_id))

    @strip_tracebacks
    def list_tasks(self, status: str | None = None, *, page_size: int | None = None) -> Stream[AgenticTaskResponse]:
        """All tasks of this key, newest first; pages are asked for as they are needed.

        Args:
            status: Only tasks with this status.
            page_size: Tasks for each request, 1 to 100.
        """
        return self._connection.stream(operations.list_tasks(self._config, status=status, page_size=page_size))
