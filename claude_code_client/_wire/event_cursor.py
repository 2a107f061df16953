"""Cursor in a task's event stream: which events have been received, by their sequence numbers. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from claude_code_common.sse import ServerSentEvent

_MAX_DIGITS: Final = len(str(2**63))


class Continuity(Enum):
    """Place of an event relative to the cursor."""

    NEXT = auto()
    """Directly after the cursor, or without a number."""
    DUPLICATE = auto()
    """At or before the cursor."""
    GAP = auto()
    """Further on: at least one event before it is missing."""


class EventCursor:
    """Number of the last event that was delivered. The contract numbers a task's events from 1 without gaps."""

    def __init__(self, after: int = 0) -> None:
        self.number = after
        """0 before the first event."""
        self.resumable = True
        """True if the stream can be resumed after this event; False after an event without a number."""
        self.task_id: str | None = None
        self.headers: Mapping[str, str] = {}
        """Headers of the response that the last event came with."""

    @property
    def last_event_id(self) -> str | None:
        """The number as an event ID; None before the first event."""
        return str(self.number) if self.number else None

    def place(self, event: ServerSentEvent) -> tuple[Continuity, int | None]:
        """Return the place of an event relative to the cursor, and its own number; None if it has none."""
        following = self.number + 1
        if event.has_id and event.id == str(following):  # nearly always, and found without parsing
            return Continuity.NEXT, following
        number = _own_number(event)
        if number is None or number == following:
            return Continuity.NEXT, number
        return Continuity.DUPLICATE if number <= self.number else Continuity.GAP, number

    def advance(self, number: int | None) -> None:
        """Move the cursor to an event that is being delivered, by its own number."""
        self.resumable = number is not None
        self.number = self.number if number is None else number


def _own_number(event: ServerSentEvent) -> int | None:
    if not event.has_id or not (event.id.isascii() and event.id.isdigit()) or len(event.id) > _MAX_DIGITS:
        return None
    return int(event.id) or None
