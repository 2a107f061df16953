"""Task that is pending or running, as the server's memory has it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

import attrs

from ..domain.engine_protocol import CancelToken, TaskSpec
from ..domain.entities import Task, TaskEvent
from ..engine.agents import AGENTS, SKILLS
from ..engine.tools import TOOLS
from ..runtime.broadcast import Broadcast

_KNOWN_NAMES: Final = frozenset((*TOOLS, *AGENTS, *SKILLS))


@attrs.define(eq=False)
class ActiveTask:
    """A task that is pending or running."""

    task: Task
    """Without its description, which may be large."""
    spec: TaskSpec | None
    """None while the task waits: the store has it."""
    cancellation: CancelToken = attrs.field(factory=CancelToken)
    used: Counter[str] = attrs.field(factory=Counter)
    """Number of calls of each tool, agent and skill."""
    known_names: frozenset[str] = _KNOWN_NAMES
    """Names that ``used`` may contain."""
    seq: int = 0
    """Sequence number of the last stored event."""
    emitted: list[TaskEvent] = attrs.field(factory=list)
    """Events that are still to be stored, together."""
    storage_failed: bool = False
    """True if part of the task could not be stored; the task can then only end as failed."""
    event_characters: int = 0
    """Size of the stored events, as JSON."""
    exceeded: str | None = None
    """Message about the limit that the task's events have exceeded; the task then ends as failed."""
    changed: Broadcast = attrs.field(factory=Broadcast)
    """Notifies of every event."""
    ended: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Set too if the task waits for the next server, so that nobody waits for it here."""
    run: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        return self.task.id

    @property
    def owner(self) -> str:
        return self.task.owner
