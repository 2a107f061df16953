"""Timestamps of the server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from claude_code_server.domain.timestamps import format_time, now


def test_the_present_is_written_like_any_other_time() -> None:
    for ago in (timedelta(), timedelta(hours=24), timedelta(seconds=0.5)):
        earliest = format_time(datetime.now(UTC) - ago)
        written = now(ago=ago.total_seconds())
        latest = format_time(datetime.now(UTC) - ago)
        assert earliest <= written <= latest
        assert len(written) == len("2026-01-01T00:00:00.000Z")
