"""Value objects that the client's methods return.

They are immutable and can be compared, copied and pickled, but not hashed. Response fields without an attribute of
their own are kept in ``extra``, and ``to_dict()`` includes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final, Protocol

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
    UnknownTaskEvent,
)

from claude_code_common.rate_limit import RateLimit
from claude_code_common.timestamps import parse_datetime

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
    "KeyLimits",
    "Message",
    "ModelInfo",
    "ModelUsage",
    "ResultEvent",
    "SkillInvokeEvent",
    "TaskEvent",
    "ThinkingEvent",
    "ToolCallEvent",
    "ToolResultEvent",
    "UnknownTaskEvent",
    "Usage",
    "UsageReport",
]

Message = Mapping[str, str]
"""One turn of ``complete(messages=[…])``: ``{"role": "user", "content": "…"}``."""

TERMINAL_STATUSES: Final = frozenset({"completed", "failed", "timeout", "cancelled", "cost_exceeded"})
"""Statuses of tasks that have ended."""

MAX_DOWNLOAD_BYTES: Final = 1024**3  # default size limit of a download: 1 GiB
MAX_READ_BYTES: Final = 256 * 1024**2  # default limit of what ``Artifact.read_bytes()`` loads into memory: 256 MiB

_PATHS_IN_REPR: Final = 5
_SCALARS: Final = frozenset({str, int, float, bool})
_NOT_IN_BODY: Final = {"body": False}  # fields that are not from the body, which to_dict() leaves out


def _to_json(value: Any) -> Any:
    """Return a copy of ``value`` made of JSON types only."""
    if value is None or type(value) in _SCALARS:
        return value
    if isinstance(value, _Model):
        return value.to_dict()
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    if isinstance(value, dict):
        return {name: _to_json(item) for name, item in value.items()}
    return value


@cache
def _body_names(cls: Any) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(cls) if field.name != "extra" and not field.metadata)


@attrs.frozen(kw_only=True, repr=False)
class _Model:
    extra: dict[str, Any] = attrs.field(factory=dict)
    """Response fields that this class has no attribute for, by their JSON names, as JSON types."""

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, those in ``extra`` included, as JSON types. The caller may change the result."""
        return _to_json({**self.extra, **dict(self._body_fields())})  # type: ignore[no-any-return]

    def _body_fields(self) -> Iterator[tuple[str, object]]:
        cls: Any = type(self)  # mypy takes classes for as unhashable as their instances
        for name in _body_names(cls):
            yield name, getattr(self, name)

    _repr_fields = _body_fields

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._repr_fields())})"


@attrs.frozen(kw_only=True, repr=False)
class Usage(_Model):
    """Token counts and their cost. ``cost`` and ``total_cost`` are the same amount."""

    input_tokens: int = 0
    """Tokens in the prompts."""
    output_tokens: int = 0
    """Tokens in the replies."""
    total_tokens: int = 0
    """Input and output tokens together."""
    cost: float = 0.0
    """USD."""

    @property
    def total_cost(self) -> float:
        """Cost in USD, under the name that tasks use in JSON."""
        return self.cost

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON types, with the cost under both of its names."""
        return {**super().to_dict(), "total_cost": self.cost}


@attrs.frozen(kw_only=True, repr=False)
class CompletionResponse(_Model):
    """Response to ``complete()``."""

    id: str
    content: str
    """Text of the reply."""
    model: str
    """ID of the model that wrote the reply."""
    stop_reason: str | None = None
    """``end_turn``, ``max_tokens``, ``stop_sequence`` or a newer value; None if the server does not report it."""
    stop_sequence: str | None = None
    """Stop sequence that ended the reply, if one did."""
    usage: Usage = attrs.field(factory=Usage)
    """Tokens and cost of this completion."""
    warnings: list[str] = attrs.field(factory=list)
    """Parameters that the server ignored, such as a temperature that the model does not support."""
    request_id: str | None = attrs.field(default=None, eq=False, metadata=_NOT_IN_BODY)
    """``X-Request-Id``, for reports to the server's operator; None if the server sends none."""
    rate_limit: RateLimit | None = attrs.field(default=None, eq=False, metadata=_NOT_IN_BODY)
    """Rest of the server's rate limit; None if the response does not state it."""
    cached: bool = attrs.field(default=False, eq=False, metadata=_NOT_IN_BODY)
    """True if the reply is from the client's response cache: nothing was sent, and ``usage`` was paid before."""

    def _repr_fields(self) -> Iterator[tuple[str, object]]:
        yield from (
            ("id", self.id),
            ("model", self.model),
            ("stop_reason", self.stop_reason),
            ("usage", self.usage),
        )


class ArtifactReader(Protocol):
    """Source of an artifact's bytes. The client attaches one to every artifact that it returns."""

    def read_bytes(self, artifact: Artifact, max_bytes: int) -> bytes:
        """Return the verified bytes of ``artifact``."""
        ...

    async def aread_bytes(self, artifact: Artifact, max_bytes: int) -> bytes:
        """Return the verified bytes of ``artifact``."""
        ...


class _WithReader(_Model):
    # A slot outside attrs: comparing, printing, copying and pickling an artifact leave its reader out.
    __slots__ = ("_reader",)

    _reader: ArtifactReader


@attrs.frozen(kw_only=True, repr=False)
class Artifact(_WithReader):
    """File that a task created or changed."""

    id: str = ""
    type: str = "file"
    path: str
    """Path relative to the task's working directory, with forward slashes."""
    size_bytes: int = 0
    """Size in bytes."""
    sha256: str | None = None
    """SHA-256 digest in hexadecimal; None if the server does not report it."""
    created_at: str = ""
    """Timestamp in ISO 8601, UTC; empty if the server does not report it."""

    @property
    def created_datetime(self) -> datetime | None:
        """``created_at`` as an aware datetime in UTC; None if it is missing or not in ISO 8601."""
        return parse_datetime(self.created_at)

    def read_bytes(self, *, max_bytes: int = MAX_READ_BYTES) -> bytes:
        """Download the artifact into memory. To store it in a file, use the client's ``download_artifact()``.

        The bytes are verified against ``size_bytes`` and ``sha256``. The download may take as long as the client's
        timeout.

        Args:
            max_bytes: Largest size to accept, in bytes; 256 MiB by default.

        Raises:
            ConfigurationError: The artifact has no client, because it was unpickled, copied or created by hand; or its
                client is an AsyncClaudeClient, and an event loop is running in this thread.
            ArtifactTooLargeError: The artifact is larger than ``max_bytes``.
            ArtifactMismatchError: The received bytes differ from the file that the task wrote.
            ClaudeAPIError: The call failed in another way.
        """
        return self._attached_reader().read_bytes(self, max_bytes)

    async def aread_bytes(self, *, max_bytes: int = MAX_READ_BYTES) -> bytes:
        """Download the artifact into memory, like :meth:`read_bytes`, for artifacts of an AsyncClaudeClient."""
        return await self._attached_reader().aread_bytes(self, max_bytes)

    def _attached_reader(self) -> ArtifactReader:
        reader: ArtifactReader | None = getattr(self, "_reader", None)
        if reader is None:
            from . import ConfigurationError  # one of the package's lazy exports: errors.py is above this module

            raise ConfigurationError(
                "This artifact has no client: it was unpickled, copied or created by hand. "
                "Use client.download_artifact(task, artifact, to=…) instead."
            )
        return reader


@attrs.frozen(kw_only=True, repr=False)
class AgenticTaskResponse(_Model):
    """Task, as the server last reported it: running or ended."""

    id: str
    status: str
    """``pending``, ``running``, ``completed``, ``failed``, ``timeout``, ``cancelled``, ``cost_exceeded`` or a newer
    value."""
    description: str | None = None
    """Prompt of the task; None if the server does not repeat it."""
    result: dict[str, Any] = attrs.field(factory=dict)
    """Free-form result. ``result["summary"]`` is present once the task has ended."""
    execution_log: list[dict[str, Any]] = attrs.field(factory=list)
    """One entry per step, each with ``timestamp`` and ``action``."""
    artifacts: list[Artifact] = attrs.field(factory=list)
    """Files that the task created or changed."""
    usage: Usage = attrs.field(factory=Usage)
    """Tokens and cost so far."""
    error: dict[str, Any] | None = None
    """``type`` and ``message`` of the reason why the task did not complete; else None."""
    created_at: str = ""
    """Timestamp in ISO 8601, UTC; empty if the server does not report it."""
    completed_at: str | None = None
    """Timestamp in ISO 8601, UTC; None while the task runs."""
    warnings: list[str] = attrs.field(factory=list)
    """Sentences: parameters that the server ignored, data that it could not express, and changed files that are not
    among the artifacts."""
    request_id: str | None = attrs.field(default=None, eq=False, metadata=_NOT_IN_BODY)
    """``X-Request-Id``, for reports to the server's operator; None if the server sends none."""
    rate_limit: RateLimit | None = attrs.field(default=None, eq=False, metadata=_NOT_IN_BODY)
    """Rest of the server's rate limit; None if the response does not state it."""

    @property
    def is_terminal(self) -> bool:
        """True if the task has ended."""
        return self.status in TERMINAL_STATUSES or self.completed_at is not None

    @property
    def created_datetime(self) -> datetime | None:
        """``created_at`` as an aware datetime in UTC; None if it is missing or not in ISO 8601."""
        return parse_datetime(self.created_at)

    @property
    def completed_datetime(self) -> datetime | None:
        """``completed_at`` as an aware datetime in UTC; None while the task runs, or if it is not in ISO 8601."""
        return parse_datetime(self.completed_at)

    def _repr_fields(self) -> Iterator[tuple[str, object]]:
        # The prompt, the result and the log stay out of reprs, and so out of logs.
        yield from (("id", self.id), ("status", self.status))
        paths = [artifact.path for artifact in self.artifacts[:_PATHS_IN_REPR]]
        if len(self.artifacts) > _PATHS_IN_REPR:
            paths.append(f"… {len(self.artifacts) - _PATHS_IN_REPR} more")
        yield from (("steps", len(self.execution_log)), ("artifacts", paths), ("usage", self.usage))


@attrs.frozen(kw_only=True, repr=False)
class ModelInfo(_Model):
    """Model that the server offers."""

    id: str
    alias: str | None = None
    """Short name, such as ``sonnet``."""
    input_price: float
    """USD per million input tokens."""
    output_price: float
    """USD per million output tokens."""
    long_context_over: int | None = None
    """Prompt tokens above which the prices of long contexts apply to a whole call; None if there are none."""
    long_context_input_price: float | None = None
    """USD per million input tokens of a long context."""
    long_context_output_price: float | None = None
    """USD per million output tokens after a long context."""
    context_window: int
    """Size in tokens."""
    max_output_tokens: int
    """Longest reply, in tokens."""
    default: bool
    """True if requests that name no model use this one."""


@attrs.frozen(kw_only=True, repr=False)
class ModelUsage(_Model):
    """Usage of one model in a period."""

    model: str
    """Model ID."""
    requests: int
    """Number of requests to the model."""
    usage: Usage
    """Tokens and cost of these requests."""


@attrs.frozen(kw_only=True, repr=False)
class UsageReport(_Model):
    """Usage of the API key in a period."""

    period: str
    """``day``, ``week``, ``month`` or a newer value."""
    start: str
    """Timestamp in ISO 8601, UTC."""
    end: str
    """Timestamp in ISO 8601, UTC."""
    usage: Usage
    """Tokens and cost of all models together."""
    limit: float | None = None
    """Spending limit for the period, in USD; None if there is none."""
    remaining: float | None = None
    """USD left of the limit; None if there is no limit."""
    models: list[ModelUsage] = attrs.field(factory=list)
    """Usage per model."""


@attrs.frozen(kw_only=True, repr=False)
class Capability(_Model):
    """Tool, agent or skill that tasks may use."""

    name: str
    """Name for ``allow_tools``, ``allow_agents`` or ``allow_skills``."""
    description: str = ""


@attrs.frozen(kw_only=True, repr=False)
class KeyLimits(_Model):
    """Limits of the API key, in seconds and USD; days and months are in UTC. None stands for no known limit."""

    requests_per_minute: int | None = None
    tasks_at_once: int | None = None
    max_timeout: float | None = None
    max_cost: float | None = None
    day_budget: float | None = None
    month_budget: float | None = None


@attrs.frozen(kw_only=True, repr=False)
class Capabilities(_Model):
    """Tools, agents and skills that the API key may use, and its limits."""

    tools: list[Capability] = attrs.field(factory=list)
    agents: list[Capability] = attrs.field(factory=list)
    skills: list[Capability] = attrs.field(factory=list)
    limits: KeyLimits = attrs.field(factory=KeyLimits)


@attrs.frozen(kw_only=True, repr=False)
class Health(_Model):
    """State of the server."""

    status: str
    """``ok`` when the server is ready."""
    version: str
    """Version of the server."""
    engine: str
    """Engine that runs tasks, such as ``claude-code``."""
    upstream: str | None = None
    """Source of the model's replies: ``anthropic``, ``offline`` or a host name; None if the server does not report
    it."""
    spec_version: str
    """Version of the API contract that the server implements."""
