"""Timestamps as the contract writes them: ISO 8601, UTC, milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """Return the current time."""
    return _format(datetime.now(UTC))


def format_time(moment: datetime) -> str:
    """Format a time with a time zone."""
    return _format(moment.astimezone(UTC))


def _format(moment: datetime) -> str:
    return f"{moment.isoformat(timespec='milliseconds')[:-6]}Z"
