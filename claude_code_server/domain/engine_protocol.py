"""Interface between the server and the engine that runs tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import attrs
from claude_code_api.defaults import CREATE_TASK_REQUEST_MAX_COST, CREATE_TASK_REQUEST_TIMEOUT

from .entities import ArtifactFile
from .key_account import WorkBudget
from .usage import Usage

EventType = Literal["thinking", "tool_call", "tool_result", "agent_spawn", "skill_invoke"]
"""Types of the events that an engine emits. The server itself writes the terminal ones (``result``, ``error``)."""

EndStatus = Literal["completed", "failed", "timeout", "cancelled", "cost_exceeded"]
CancelReason = Literal["cancelled", "timeout", "cost_exceeded", "failed"]


class EventSink(Protocol):
    """Receiver of the events of one run. Its methods do not raise: a failure to store an event cancels the run."""

    def emit(self, type: EventType, *, content: str, **fields: Any) -> None:
        """Publish one event.

        ``content`` is a short line for people; ``fields`` are those of the event type in the contract.
        """

    def report_usage(self, usage: Usage, reserved: float = 0.0) -> None:
        """Store the usage of the run so far, and the most in USD that model calls in progress may add to its cost.

        If the server crashes, the task is charged both.
        """

    @property
    def budget(self) -> WorkBudget:
        """Budget of the task's key, from which every model call has to be paid too."""
        ...


@attrs.frozen
class TaskSpec:
    """A validated task: paths exist, names are known, limits are set."""

    task_id: str
    description: str
    working_directory: Path
    model: str
    tools: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    small_model: str = ""
    """Model for minor work; empty for the one that the model catalog provides beside ``model``."""
    max_cost: float = CREATE_TASK_REQUEST_MAX_COST
    """USD."""
    timeout: float = CREATE_TASK_REQUEST_TIMEOUT
    """Seconds. The server enforces the timeout through the ``CancelToken``."""
    context: Mapping[str, Any] = attrs.field(factory=dict)
    """Data for the agent, but for ``result_schema``."""

    @property
    def result_schema(self) -> Mapping[str, Any] | None:
        """JSON Schema of the result; None if the task may return any."""
        return self.context.get("result_schema")


class CancelToken:
    """Request to end a run early. Only the first reason counts."""

    def __init__(self) -> None:
        self._cancelled = asyncio.Event()
        self._reason: CancelReason | None = None

    def cancel(self, reason: CancelReason) -> None:
        """Cancel the run; do nothing if it was cancelled before."""
        if self._reason is None:
            self._reason = reason
            self._cancelled.set()

    @property
    def reason(self) -> CancelReason | None:
        """Reason of the cancellation; None for a run that was not cancelled."""
        return self._reason

    async def wait(self) -> None:
        """Wait until the run is cancelled."""
        await self._cancelled.wait()


@attrs.frozen
class Outcome:
    """Result of a run."""

    status: EndStatus
    summary: str = ""
    result: Mapping[str, Any] = attrs.field(factory=dict)
    artifacts: tuple[ArtifactFile, ...] = ()
    usage: Usage = attrs.field(factory=Usage)
    """Total usage; if left at zero, the usage last reported to the ``EventSink`` counts."""
    error: tuple[str, str] | None = None
    """Error type of the contract and message; None for a completed run."""
    warnings: tuple[str, ...] = ()
    """Sentences about what the run left out or could not express."""


class Engine(Protocol):
    """Runner of tasks. One instance runs all tasks of a server, several of them concurrently."""

    name: str

    async def run(self, spec: TaskSpec, events: EventSink, cancellation: CancelToken) -> Outcome:
        """Run one task to its end, whatever it is. Leave neither a private file nor a process that can run any more."""
        ...

    async def aclose(self) -> None:
        """Release what the engine holds. No run is in progress any more."""
