"""Work of a coordinator: items on their way to workers, and the chunks that are out. No I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import attrs

from ....errors import APIConnectionError
from .chunk import ChunkItem, ItemOutcome


class ExecutorUnusableError(Exception):
    """Executor that takes no more work."""


@attrs.define(eq=False)
class Work:
    """Item on its way."""

    item: ChunkItem
    timeout: float
    """Seconds that its call may take."""
    done: asyncio.Future[ItemOutcome]
    """Outcome; ExecutorUnusableError if there can be none, or APIConnectionError if its workers were lost."""
    is_sent: bool = False
    """True if a worker may have started it."""
    losses: int = 0
    """Workers that were lost with it."""

    def finish(self, outcome: ItemOutcome | Exception) -> None:
        """Set the outcome, unless the call was cancelled."""
        if self.done.done():
            return
        if isinstance(outcome, Exception):
            self.done.set_exception(outcome)
        else:
            self.done.set_result(outcome)


@attrs.frozen(eq=False)
class Outstanding:
    """Chunk that is out."""

    works: list[Work]
    sent: float
    """Seconds, on the coordinator's clock."""
    limit: int
    """Calls that could be in flight altogether."""
    concurrency: int


@attrs.frozen(kw_only=True)
class Terms:
    """Terms that all chunks of a batch have in common."""

    method: str
    config: Mapping[str, Any] = attrs.field(repr=False)
    worker_key: str | None
    window: int
    """Items that may be in memory."""
    timeout: float
    """Seconds that a call may take, unless its item says otherwise."""


def lost_error(losses: int, *, may_repeat: bool) -> APIConnectionError:
    """Return the exception of an item that was lost with its workers."""
    if may_repeat:
        return APIConnectionError(
            f"The item was lost with its worker {losses} times. Look at the workers' logs: it may be what they end of.",
            outcome_unknown=True,
        )
    return APIConnectionError(
        "The item was lost with its worker, and the server does not say that it keeps the API contract: it might run "
        "the item a second time.",
        outcome_unknown=True,
    )
