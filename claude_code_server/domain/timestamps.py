"""Timestamps as the contract writes them: ISO 8601, UTC, milliseconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache


def now(ago: float = 0.0) -> str:
    """Return the current time, or that ``ago`` seconds before."""
    # Requests need several: what is the same for a whole second is formatted once.
    seconds, milliseconds = divmod((time.time_ns() - int(ago * 1e9)) // 1_000_000, 1000)
    return f"{_second(seconds)}.{milliseconds:03}Z"


def format_time(moment: datetime) -> str:
    """Format a time with a time zone."""
    return _format(moment.astimezone(UTC))


@lru_cache(16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:-6]


def _format(moment: datetime) -> str:
    return f"{moment.isoformat(timespec='milliseconds')[:-6]}Z"
