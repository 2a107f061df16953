"""What the client's methods give back. Immutable; compare, copy and pickle them freely. They have no hash.

Fields that this version does not know are kept, in ``extra`` and in ``to_dict()``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs
from claude_code_api.events import (
    AgentSpawnEvent,
    CompletionEvent,
    ErrorEvent,
    ResultEvent,
    SkillInvokeEvent,
    TaskEvent,
    ThinkingEvent,
    ToolCallEvent,
    ToolResultEvent,
)

from ._client.readable import Readable

__all__ = [
    "TERMINAL_STATUSES",
    "AgentSpawnEvent",
    "AgenticTaskResponse",
    "Artifact",
    "Capabilities",
    "Capability",
    "CompletionEvent",
    "CompletionResponse",
    "ErrorEvent",
    "Health",
    "Message",
    "ModelInfo",
    "ModelUsage",
    "ResultEvent",
    "SkillInvokeEvent",
    "TaskEvent",
    "ThinkingEvent",
    "ToolCallEvent",
    "ToolResultEvent",
    "Usage",
    "UsageReport",
]

Message = Mapping[str, str]
"""One turn for ``complete(messages=[…])``: ``{"role": "user", "content": "…"}``."""

TERMINAL_STATUSES: Final = frozenset({"completed", "failed", "timeout", "cancelled", "cost_exceeded"})
"""The statuses that a task does not leave any more."""

_PATHS_SHOWN: Final = 5


def _plain(value: Any) -> Any:
    if isinstance(value, _Model):
        return value.to_dict()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


@attrs.frozen(kw_only=True, repr=False)
class _Model:
    extra: dict[str, Any] = attrs.field(factory=dict)
    """Fields that the server sent and this version does not know."""

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON types, unknown ones included; a copy, for the caller to change."""
        known = {
            field.name: _plain(getattr(self, field.name)) for field in attrs.fields(type(self)) if field.name != "extra"
        }
        return {**_plain(self.extra), **known}

    def _shown(self) -> Iterator[tuple[str, object]]:
        for field in attrs.fields(type(self)):
            if field.name != "extra":
                yield field.name, getattr(self, field.name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._shown())})"


@attrs.frozen(kw_only=True, repr=False)
class Usage(_Model):
    """Tokens, and their cost in USD. ``cost`` and ``total_cost`` are the same figure."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cost: float = 0.0

    @property
    def total_cost(self) -> float:
        """USD; the name that tasks use."""
        return self.cost

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON types, with the cost under both its names."""
        return {**super().to_dict(), "total_cost": self.cost}


@attrs.frozen(kw_only=True, repr=False)
class CompletionResponse(_Model):
    """The reply to ``complete()``."""

    id: str
    content: str
    """The text."""
    model: str
    """The id of the model that was used."""
    stop_reason: str | None = None
    """``end_turn``, ``max_tokens``, ``stop_sequence``; others may come. None where the server does not say."""
    stop_sequence: str | None = None
    usage: Usage = attrs.field(factory=Usage)
    warnings: list[str] = attrs.field(factory=list)
    """What was asked for and not done, such as a temperature that the model does not take."""

    def _shown(self) -> Iterator[tuple[str, object]]:
        yield from (
            ("id", self.id),
            ("model", self.model),
            ("stop_reason", self.stop_reason),
            ("usage", self.usage),
        )


class _WithSource(_Model, Readable):
    """A slot that attrs does not know of: what compares, shows, copies or stores a model leaves it out."""

    __slots__ = ("_source",)


@attrs.frozen(kw_only=True, repr=False)
class Artifact(_WithSource):
    """A file that a task made or changed."""

    id: str = ""
    type: str = "file"
    path: str
    """Relative to the task's working directory, with forward slashes."""
    size_bytes: int = 0
    sha256: str | None = None
    created_at: str = ""
    """ISO 8601, UTC."""

    @property
    def created_datetime(self) -> datetime | None:
        """``created_at`` as a datetime in UTC; None where the server does not say, or not in ISO 8601."""
        return _datetime(self.created_at)


@attrs.frozen(kw_only=True, repr=False)
class AgenticTaskResponse(_Model):
    """A task: ended, or as far as it has come."""

    id: str
    status: str
    """``pending``, ``running``, ``completed``, ``failed``, ``timeout``, ``cancelled``, ``cost_exceeded``, or new."""
    description: str | None = None
    result: dict[str, Any] = attrs.field(factory=dict)
    """Free-form; ``result["summary"]`` is there once the task has ended."""
    execution_log: list[dict[str, Any]] = attrs.field(factory=list)
    """One dict for each step, with ``timestamp`` and ``action``."""
    artifacts: list[Artifact] = attrs.field(factory=list)
    usage: Usage = attrs.field(factory=Usage)
    error: dict[str, Any] | None = None
    """``type`` and ``message`` of why it did not complete."""
    created_at: str = ""
    """ISO 8601, UTC."""
    completed_at: str | None = None
    """ISO 8601, UTC; None while it runs."""

    @property
    def is_terminal(self) -> bool:
        """Whether the task has ended."""
        return self.status in TERMINAL_STATUSES or self.completed_at is not None

    @property
    def created_datetime(self) -> datetime | None:
        """``created_at`` as a datetime in UTC; None where the server does not say, or not in ISO 8601."""
        return _datetime(self.created_at)

    @property
    def completed_datetime(self) -> datetime | None:
        """``completed_at`` as a datetime in UTC; None while the task runs."""
        return _datetime(self.completed_at)

    def _shown(self) -> Iterator[tuple[str, object]]:
        # What the task was asked and what it did stay out of logs.
        yield from (("id", self.id), ("status", self.status))
        paths = [artifact.path for artifact in self.artifacts[:_PATHS_SHOWN]]
        if len(self.artifacts) > _PATHS_SHOWN:
            paths.append(f"… {len(self.artifacts) - _PATHS_SHOWN} more")
        yield from (("steps", len(self.execution_log)), ("artifacts", paths), ("usage", self.usage))


@attrs.frozen(kw_only=True, repr=False)
class ModelInfo(_Model):
    """A model that may be named."""

    id: str
    alias: str | None = None
    """The short name, as ``sonnet``."""
    input_price: float
    """USD per million input tokens."""
    output_price: float
    """USD per million output tokens."""
    context_window: int
    """Tokens."""
    max_output_tokens: int
    default: bool
    """Whether it is used when none is named."""


@attrs.frozen(kw_only=True, repr=False)
class ModelUsage(_Model):
    """What one model was used for in a period."""

    model: str
    requests: int
    usage: Usage


@attrs.frozen(kw_only=True, repr=False)
class UsageReport(_Model):
    """What this key has used in a period."""

    period: str
    start: str
    """ISO 8601, UTC."""
    end: str
    """ISO 8601, UTC."""
    usage: Usage
    limit: float | None = None
    """USD that may be spent in the period; None without a limit."""
    remaining: float | None = None
    """USD left of the limit; None without a limit."""
    models: list[ModelUsage] = attrs.field(factory=list)


@attrs.frozen(kw_only=True, repr=False)
class Capability(_Model):
    """A tool, an agent or a skill."""

    name: str
    description: str = ""


@attrs.frozen(kw_only=True, repr=False)
class Capabilities(_Model):
    """What this key may use."""

    tools: list[Capability] = attrs.field(factory=list)
    agents: list[Capability] = attrs.field(factory=list)
    skills: list[Capability] = attrs.field(factory=list)


@attrs.frozen(kw_only=True, repr=False)
class Health(_Model):
    """The server, and what it runs."""

    status: str
    version: str
    engine: str
    upstream: str | None = None
    """Where the model is reached: ``anthropic``, ``offline`` or a host name."""
    spec_version: str


def _datetime(value: str | None) -> datetime | None:
    if not value:
        return None
    from dateutil.parser import isoparse  # 40 ms, which most programs need not spend

    try:
        moment = isoparse(value)
    except ValueError:
        return None
    # A timestamp without an offset is taken as UTC, which the contract says that all are.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
