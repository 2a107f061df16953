"""Batches of a task's events, encoded for its followers."""

from __future__ import annotations

import attrs


@attrs.frozen
class EventBatch:
    """Encoded events."""

    data: bytes
    last_seq: int
    """Sequence number of the last event."""
    terminal: bool
    """True if the last event is the terminal event of the task."""
