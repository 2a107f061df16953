"""The seam between the server and whatever runs a task."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

EventType = Literal["thinking", "tool_call", "tool_result", "agent_spawn", "skill_invoke"]
"""Events that an engine emits. The terminal ones (``result``, ``error``) are the server's to write."""

Status = Literal["completed", "failed", "timeout", "cancelled", "cost_exceeded"]


class Emit(Protocol):
    """Takes what a run tells of itself as it happens. Does not raise: what cannot be stored ends in a ``Stop``."""

    def __call__(self, type: EventType, *, content: str, **fields: Any) -> None:
        """One event, to be numbered, stamped and stored. ``content`` is a short human line; ``fields`` are the
        event's own, as the contract names them.
        """

    def spent(self, spent: "Spent") -> None:
        """All that the run has used up so far, to be stored: more than this may be lost with the server."""


@dataclass(frozen=True, slots=True)
class Order:
    """What an engine is asked to do. Paths exist; names and limits were checked before."""

    task_id: str
    description: str
    working_directory: Path
    model: str
    tools: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    max_cost: float = 1.0
    """USD."""
    timeout: float = 300.0
    """Seconds; kept by the server, which sets ``Stop``. An engine may tell it to its model."""
    context: Mapping[str, Any] = field(default_factory=dict)


class Stop:
    """A request to end a run early. The first reason stays: timeout and cancel look alike afterwards."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._reason: Status | None = None

    def ask(self, reason: Literal["cancelled", "timeout", "cost_exceeded", "failed"]) -> None:
        if self._reason is None:
            self._reason = reason
            self._asked.set()

    @property
    def reason(self) -> Status | None:
        return self._reason

    async def wait(self) -> None:
        await self._asked.wait()


@dataclass(frozen=True, slots=True)
class ArtifactFound:
    """A file that the run created or changed."""

    path: str
    """Relative to the working directory, with forward slashes."""
    size_bytes: int
    sha256: str
    created_at: str
    """ISO 8601, UTC."""
    type: str = "file"


@dataclass(frozen=True, slots=True)
class Spent:
    input_tokens: int = 0
    """Those read from and written to the cache included."""
    output_tokens: int = 0
    cost: float = 0.0
    """USD."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. ``error`` is (type, message), in the contract's types; None only when completed."""

    status: Status
    summary: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    artifacts: tuple[ArtifactFound, ...] = ()
    spent: Spent = field(default_factory=Spent)
    """Left out, it is what ``Emit`` was told last."""
    error: tuple[str, str] | None = None


class Engine(Protocol):
    """Runs tasks. One instance serves all of a server's tasks, several at once."""

    name: str

    async def run(self, order: Order, emit: Emit, stop: Stop) -> Outcome:
        """Run one task to its end. Leaves no process and no file of its own behind, however it ends."""
        ...

    async def aclose(self) -> None:
        """Release what the engine holds. Runs in progress were stopped before."""
