"""What the server knows of its tasks, apart from how it is stored and how it travels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from .engine.base import ArtifactFound, Spent

PENDING: Final = "pending"
RUNNING: Final = "running"
RESULT: Final = "result"
"""The type of the terminal event of a task that completed, failed or was cancelled."""
ERROR: Final = "error"
"""The type of the terminal event of a task that its timeout, its budget or the server itself ended."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task ended other than completed. ``estimated_cost`` in USD."""

    type: str
    message: str
    estimated_cost: float | None = None


@dataclass(frozen=True, slots=True)
class Artifact:
    id: str
    found: ArtifactFound


@dataclass(frozen=True, slots=True)
class Task:
    """Times are ISO 8601 in UTC."""

    id: str
    key: str
    """The hash of the key it was created with."""
    description: str
    model: str
    working_directory: str
    created_at: str
    status: str = PENDING
    completed_at: str | None = None
    summary: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    spent: Spent = field(default_factory=Spent)
    failure: Failure | None = None

    @property
    def ended(self) -> bool:
        return self.completed_at is not None


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a task. What a terminal one says stands in its task; its ``fields`` are empty."""

    seq: int
    """From 1, without gaps."""
    type: str
    timestamp: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def terminal(self) -> bool:
        return self.type in (RESULT, ERROR)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and cost (USD) of one model, or of one call."""

    model: str
    requests: int
    spent: Spent


def now() -> str:
    """ISO 8601, UTC, milliseconds."""
    return iso(datetime.now(UTC))


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
