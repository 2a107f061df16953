"""Timestamps as the contract writes them: ISO 8601, UTC, milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """Return the current time."""
    return format_time(datetime.now(UTC))


def format_time(moment: datetime) -> str:
    """Format a time with a time zone."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
