"""Chunks: the items that a worker runs together, what it may use for them, and its report. No I/O.

What a worker gets is one package of bytes, so that no scheduler looks into it, logs it, or shows it in its dashboard.
It contains prompts, but neither the API key nor secret headers.
"""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ....errors import ClaudeAPIError
from ....models import ModelInfo
from .coordinator_signal import SignalFile


@attrs.frozen(kw_only=True)
class ChunkItem:
    """Item of a chunk."""

    index: int
    """Position in the input."""
    parameters: bytes = attrs.field(repr=False)
    """Pickled parameters of the call."""
    idempotency_key: str
    lease: float | None
    """USD of the budget that are reserved for the item; None if there is no budget."""


@attrs.frozen(kw_only=True)
class Chunk:
    """Items to run, and what they may use."""

    method: str
    config: Mapping[str, Any] = attrs.field(repr=False)
    """Configuration of the client without secrets, as in its pickle."""
    worker_key: str | None
    """Source of the API key for the worker."""
    items: Sequence[ChunkItem]
    concurrency: int
    """Most calls in flight."""
    seconds: float
    """Seconds within which calls may start; items that are left go back."""
    models: list[ModelInfo] | None
    """Models with their prices, if there is a budget."""
    signal: SignalFile
    """File whose lock ends with the coordinator."""


@attrs.frozen
class Package:
    """Pickled chunk. Its repr, which schedulers log, shows nothing of it."""

    _data: bytes = attrs.field(repr=False)
    _name: str = attrs.field(factory=lambda: uuid.uuid4().hex, repr=False)
    """Different each time: Dask takes equal arguments for work that it has already, even if that was lost."""

    def open(self) -> Chunk:
        """Return the chunk."""
        chunk: Chunk = pickle.loads(self._data)  # noqa: S301 (made by pack(), and unpickled by the executor before)
        return chunk


def pack(chunk: Chunk) -> Package:
    """Return the chunk as it is sent to a worker."""
    return Package(pickle.dumps(chunk, pickle.HIGHEST_PROTOCOL))


@attrs.frozen(kw_only=True)
class ItemOutcome:
    """Outcome of an item that was started."""

    position: int
    """In the chunk."""
    response: Any = attrs.field(default=None, repr=False)
    error: ClaudeAPIError | None = attrs.field(default=None, repr=False)
    spent: float = 0.0
    """USD of the lease that are known to be spent."""
    is_open: bool = False
    """True if the call may have cost more, up to its lease."""
    ended: float
    """Seconds from the beginning of the chunk to the end of the call."""
    seconds: float
    """Seconds that the call took."""


@attrs.frozen
class SeenResponse:
    """Response that says something about the server's limits or load."""

    at: float
    """Seconds from the beginning of the chunk."""
    status: int
    headers: Mapping[str, str]


@attrs.frozen(kw_only=True)
class ChunkReport:
    """Report of a worker on a chunk. Items without an outcome were not started, or were cancelled."""

    outcomes: Sequence[ItemOutcome] = ()
    seen: Sequence[SeenResponse] = ()
    seconds: float = 0.0
    """Seconds that the chunk took at the worker."""
    worker: str = ""
    """Name of the worker: a thread of a process of a machine."""
    is_first: bool = False
    """True if the worker has just started: imports and connections have taken time."""
    keeps_contract: bool = False
    """True if the server has shown that it keeps the contract, idempotency keys included."""
    failure: ClaudeAPIError | None = attrs.field(default=None, repr=False)
    """Exception that no item of the worker could be run for, such as a missing key."""
