# Generated from openapi/claude-code-api.yaml by `make generate`; not to be edited.

"""Stream events as dicts. Checking `event["type"]` narrows a union to one event, for type checkers too.

The unions are open-ended: a server may also send event types and fields that are not listed here.
"""

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class TextDeltaEvent(TypedDict):
    type: Literal["text_delta"]
    text: str


class TextBlockDict(TypedDict):
    type: str
    text: str


class CompletionUsageDict(TypedDict):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cost: float


class CompletionResponseDict(TypedDict):
    id: str
    type: NotRequired[str]
    role: NotRequired[str]
    content: list[TextBlockDict] | str
    model: str
    stop_reason: NotRequired[str | None]
    stop_sequence: NotRequired[str | None]
    usage: CompletionUsageDict
    warnings: NotRequired[list[str]]


class CompletionDoneEvent(TypedDict):
    type: Literal["completion"]
    completion: CompletionResponseDict


class ErrorDetailDict(TypedDict):
    type: str
    message: str
    param: NotRequired[str | None]
    estimated_cost: NotRequired[float | None]
    retry_after: NotRequired[float | None]


class CompletionErrorEvent(TypedDict):
    type: Literal["error"]
    error: ErrorDetailDict


CompletionEvent: TypeAlias = TextDeltaEvent | CompletionDoneEvent | CompletionErrorEvent


class ThinkingEvent(TypedDict):
    """What the agent thinks or says between its steps."""

    type: Literal["thinking"]
    timestamp: str
    content: str


class ToolCallEvent(TypedDict):
    """A tool is called."""

    type: Literal["tool_call"]
    timestamp: str
    content: str
    tool: str
    arguments: dict[str, Any]
    call_id: str


class ToolResultEvent(TypedDict):
    """What a tool gave back."""

    type: Literal["tool_result"]
    timestamp: str
    content: str
    tool: str
    call_id: str
    status: str
    result: str


class AgentSpawnEvent(TypedDict):
    """An agent is spawned."""

    type: Literal["agent_spawn"]
    timestamp: str
    content: str
    agent: str
    reason: str


class SkillInvokeEvent(TypedDict):
    """A skill is invoked."""

    type: Literal["skill_invoke"]
    timestamp: str
    content: str
    skill: str
    input: str


class ArtifactDict(TypedDict):
    """A file that a task made or changed."""

    id: str
    type: str
    path: str
    size_bytes: int
    sha256: str
    created_at: str


class TaskUsageDict(TypedDict):
    """What the task has used; while it runs, what is known of it so far."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    total_cost: float


class ResultEvent(TypedDict):
    """The task has ended, as `completed`, `failed` or `cancelled`. Terminal."""

    type: Literal["result"]
    timestamp: str
    content: str
    status: str
    summary: str
    result: dict[str, Any]
    artifacts: list[ArtifactDict]
    usage: TaskUsageDict
    error: NotRequired[ErrorDetailDict | None]


class ErrorEvent(TypedDict):
    """The task was ended by its timeout, by its budget, or by a failure of the server itself. Terminal."""

    type: Literal["error"]
    timestamp: str
    content: str
    error: ErrorDetailDict


TaskEvent: TypeAlias = (
    ThinkingEvent | ToolCallEvent | ToolResultEvent | AgentSpawnEvent | SkillInvokeEvent | ResultEvent | ErrorEvent
)
