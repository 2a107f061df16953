"""Timestamps of the API: ISO 8601 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def parse_datetime(value: str | None) -> datetime | None:
    """Return the time of a timestamp, in UTC; None if there is none, or none that can be read."""
    if not value:
        return None
    from dateutil.parser import isoparse  # takes 40 ms to import, which most programs need not spend

    try:
        moment = isoparse(value)
    except ValueError:
        return None
    # The contract says that all timestamps are in UTC, so one without an offset is taken as UTC.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
