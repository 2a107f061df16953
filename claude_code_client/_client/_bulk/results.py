"""Results of a batch: one for each item, and how far the batch has come."""

from __future__ import annotations

from typing import Generic, TypeVar

import attrs

from ...errors import ClaudeAPIError
from ...models import AgenticTaskResponse, CompletionResponse

R = TypeVar("R", CompletionResponse, AgenticTaskResponse)


@attrs.frozen(kw_only=True)
class BatchResult(Generic[R]):
    """Result of one item: a response or an error."""

    index: int
    """Position of the item in the input, from 0."""
    custom_id: str
    """``custom_id`` of the item; its position, if it has none."""
    item: object = attrs.field(repr=False)
    """The item, as it was passed."""
    idempotency_key: str
    """Key that the item was sent with; empty if the item is invalid and was not sent."""
    response: R | None = attrs.field(default=None, repr=False)
    """Response to the item; None if it failed."""
    error: ClaudeAPIError | None = None
    """Exception that the item failed with; None if it has a response."""
    cost: float = 0.0
    """USD that the item has cost, as far as it is known."""
    resumed: bool = False
    """True if the result was read from the results file."""

    @property
    def ok(self) -> bool:
        """True if the item has a response and, as a task, was completed."""
        return self.response is not None and getattr(self.response, "status", "completed") == "completed"

    def unwrap(self) -> R:
        """Return the response. Raises the item's exception if it failed."""
        if self.error is not None:
            raise self.error
        assert self.response is not None  # noqa: S101 (one of the two is there)
        return self.response


@attrs.frozen(kw_only=True)
class BatchProgress:
    """State of a batch."""

    total: int | None
    """Items in the input; None if its length is unknown before its end."""
    done: int
    """Items that have a result, failed ones included."""
    failed: int
    """Items that failed."""
    resumed: int
    """Items whose results were read from the results file."""
    in_flight: int
    """Calls in progress."""
    limit: int
    """Calls that may be in progress at present: what the server has been found to take."""
    cost: float
    """USD that the items have cost so far, earlier runs with the same results file included."""
    elapsed: float
    """Seconds since the batch began."""
    rate: float
    """Items per second, of late."""

    @property
    def eta(self) -> float | None:
        """Seconds until all items are done, at the present rate; None if that is unknown."""
        if self.total is None or self.rate <= 0:
            return None
        return max(self.total - self.done, 0) / self.rate
