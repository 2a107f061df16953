"""Pruner: deletes in the background what is older than the server keeps."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from ..domain.timestamps import format_time
from ..runtime.error_logging import log_exception
from ..storage.retention import Retention
from .completions import IDEMPOTENCY_SCOPE, RETENTION

_log = logging.getLogger(__name__)
_INTERVAL: Final = 600.0
"""Seconds between two looks for what has become old."""
_PAUSE_SHARE: Final = 9.0
"""Length of the pause after a step, as a multiple of the step: nine tenths of the time are left to others."""
_USAGE_KEPT: Final = timedelta(days=62)
"""Time for which usage and the audit log are kept at least, for reports and budgets of a month."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Pruner:
    """Deletes ended tasks, with their events, patches and idempotency keys, once they are older than ``keep``.

    None keeps all of them. Tasks that have not ended stay, however old they are. Usage and audit log stay for
    two months at least. Replies of completions go after a day.
    """

    def __init__(
        self,
        retention: Retention,
        keep: timedelta | None,
        clock: Callable[[], datetime] = _utc_now,
        *,
        patches: Path | None = None,
    ) -> None:
        """Create a pruner; ``patches`` is the folder with the patches of tasks, which need not exist."""
        self._retention = retention
        self._keep = keep
        self._patches = patches
        self._clock = clock

    def step(self) -> bool:
        """Delete a little; return whether there may be more to delete."""
        now = self._clock()
        if self._retention.delete_responses(IDEMPOTENCY_SCOPE, format_time(now - RETENTION)):
            return True
        if self._keep is None:
            return False
        records = format_time(now - max(self._keep, _USAGE_KEPT))
        return (
            self._retention.delete_events()
            or self._retention.delete_tasks(format_time(now - self._keep))
            or self._retention.delete_usage(records)
            or self._retention.delete_audit(records)
            or self._delete_patches(now - self._keep)
            or self._retention.return_space()
        )

    def _delete_patches(self, before: datetime) -> bool:
        """Delete the patches of tasks that ended before a time, all at once; return False."""
        for path in () if self._patches is None else self._patches.glob("*.patch"):
            if path.stat().st_mtime < before.timestamp():
                path.unlink(missing_ok=True)
        return False

    async def run(self) -> None:
        """Delete what becomes old, until cancelled."""
        while True:
            try:
                began = time.monotonic()
                more = self.step()
                pause = (time.monotonic() - began) * _PAUSE_SHARE if more else _INTERVAL
            except Exception as error:
                log_exception(_log, "deleting what is old", error)
                pause = _INTERVAL
            await asyncio.sleep(pause)
