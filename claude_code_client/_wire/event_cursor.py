"""Which events of a task have come, by their sequence numbers. Pure."""

from __future__ import annotations

from enum import Enum, auto

from claude_code_common.sse import ServerSentEvent


class Continuity(Enum):
    """What an event is, after those that have come."""

    NEXT = auto()
    DUPLICATE = auto()
    GAP = auto()
    """At least one is missing before it."""


class EventCursor:
    """The last event that was handed on. The contract numbers a task's events from 1 without gaps."""

    def __init__(self, after: int = 0) -> None:
        self.number = after
        """0 before the first."""
        self.resumable = True
        """Whether the server can be asked for what follows: not after an event without a number."""
        self.task_id: str | None = None

    @property
    def last_event_id(self) -> str | None:
        """The number, as the wire and users have it."""
        return str(self.number) if self.number else None

    def classify(self, event: ServerSentEvent) -> Continuity:
        number = _number(event)
        if number is None or number == self.number + 1:
            return Continuity.NEXT
        return Continuity.DUPLICATE if number <= self.number else Continuity.GAP

    def advance(self, event: ServerSentEvent) -> None:
        """The event is handed on."""
        number = _number(event)
        self.resumable = number is not None
        self.number = self.number if number is None else number


def _number(event: ServerSentEvent) -> int | None:
    """The event's own number; None for one that the server has not numbered, such as a type of a later version."""
    if not event.has_id or not (event.id.isascii() and event.id.isdigit()) or len(event.id) > len(str(2**63)):
        return None
    return int(event.id) or None
