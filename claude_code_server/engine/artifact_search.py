"""Search for the artifacts of one run, within a time limit that ends early if the run is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TypeVar

from ..domain.engine_protocol import CancelToken
from ..runtime.work_limit import WorkLimit, run_in_own_thread
from .changed_files import ArtifactLimits, FoundArtifacts, find_changed_files
from .workspace_walk import empty_snapshot, take_snapshot

_T = TypeVar("_T")

SNAPSHOT_SECONDS: Final = 3.0
SEARCH_SECONDS: Final = 15.0
"""Time to find and hash the changed files."""
_SECONDS_AFTER_CANCELLATION: Final = 1.0
_STUCK_SECONDS: Final = 1.0
"""Time after its limit at which a thread counts as stuck, such as in a file system that does not respond."""
_STUCK: Final = FoundArtifacts(warnings=("The search for changed files did not end; there may be artifacts.",))


class ArtifactSearch:
    """Search for the files that change between ``begin`` and ``finish``."""

    def __init__(self, root: Path, cancellation: CancelToken, limits: ArtifactLimits) -> None:
        self._root = root
        self._limits = limits
        self._cancellation = cancellation
        self._before = empty_snapshot()

    async def begin(self) -> None:
        """Record the present state of the directory."""
        limit = WorkLimit(SNAPSHOT_SECONDS)
        self._before = await self._run(lambda: take_snapshot(self._root, limit), limit, self._before)

    async def finish(self, written: Iterable[str]) -> FoundArtifacts:
        """Return the files that have changed, or that file tools report as ``written``."""
        limit = WorkLimit(SEARCH_SECONDS)
        paths = set(written)

        def find() -> FoundArtifacts:
            return find_changed_files(self._root, self._before, paths, limit, self._limits)

        return await self._run(find, limit, _STUCK)

    async def _run(self, work: Callable[[], _T], limit: WorkLimit, otherwise: _T) -> _T:
        """Run blocking work; return ``otherwise`` if it is stuck."""
        working = asyncio.create_task(run_in_own_thread(work, "artifacts"))
        cancelled = asyncio.create_task(self._cancellation.wait())
        try:
            await asyncio.wait(
                {working, cancelled}, timeout=limit.seconds_left + _STUCK_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if not working.done():
                limit.shorten(_SECONDS_AFTER_CANCELLATION)
                await asyncio.wait({working}, timeout=limit.seconds_left + _STUCK_SECONDS)
            return working.result() if working.done() else otherwise
        finally:
            limit.shorten(0)
            working.cancel()
            cancelled.cancel()
