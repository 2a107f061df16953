# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

"""Stream events as dicts. Checking `event["type"]` narrows a union to one event, for type checkers too.

The unions are open-ended: a server may also send event types and fields that are not listed here. The last member of
each union stands for such types, so that `assert_never` after all others does not pass type checkers.
"""

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class TextDeltaEvent(TypedDict):
    """A part of the reply."""

    type: Literal["text_delta"]
    text: str


class TextBlockDict(TypedDict):
    """A block of text."""

    type: str
    text: str


class CompletionUsageDict(TypedDict):
    """Tokens and cost of a completion."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    cost: float


class CompletionResponseDict(TypedDict):
    """A completion."""

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
    """Terminal event with the whole reply."""

    type: Literal["completion"]
    completion: CompletionResponseDict


class ErrorDetailDict(TypedDict):
    """Type and details of an error."""

    type: str
    message: str
    param: NotRequired[str | None]
    estimated_cost: NotRequired[float | None]
    retry_after: NotRequired[float | None]


class CompletionErrorEvent(TypedDict):
    """Terminal event of a completion that failed."""

    type: Literal["error"]
    error: ErrorDetailDict


class UnknownCompletionEvent(TypedDict):
    """Event of a type that this version does not know. At run time, `type` is the name of that type."""

    type: Literal["<unknown>"]


CompletionEvent: TypeAlias = TextDeltaEvent | CompletionDoneEvent | CompletionErrorEvent | UnknownCompletionEvent


class ThinkingEvent(TypedDict):
    """A thought or remark of the agent between its steps."""

    type: Literal["thinking"]
    timestamp: str
    content: str


class ToolCallEvent(TypedDict):
    """A tool call."""

    type: Literal["tool_call"]
    timestamp: str
    content: str
    tool: str
    arguments: dict[str, Any]
    call_id: str


class ToolResultEvent(TypedDict):
    """Result of a tool call."""

    type: Literal["tool_result"]
    timestamp: str
    content: str
    tool: str
    call_id: str
    status: str
    result: str


class AgentSpawnEvent(TypedDict):
    """A call that spawns an agent. The agent's report is the result of the call."""

    type: Literal["agent_spawn"]
    timestamp: str
    content: str
    agent: str
    reason: str
    call_id: str


class SkillInvokeEvent(TypedDict):
    """A call that invokes a skill."""

    type: Literal["skill_invoke"]
    timestamp: str
    content: str
    skill: str
    input: str
    call_id: str


class ArtifactDict(TypedDict):
    """A file that a task created or changed."""

    id: str
    type: str
    path: str
    size_bytes: int
    sha256: str
    created_at: str


class TaskUsageDict(TypedDict):
    """Tokens and cost of a task; while the task is running, those known so far."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    total_cost: float


class ResultEvent(TypedDict):
    """Terminal event: the task ended as `completed`, `failed` or `cancelled`."""

    type: Literal["result"]
    timestamp: str
    content: str
    status: str
    summary: str
    result: dict[str, Any]
    artifacts: list[ArtifactDict]
    usage: TaskUsageDict
    error: NotRequired[ErrorDetailDict | None]
    warnings: NotRequired[list[str]]


class ErrorEvent(TypedDict):
    """Terminal event: the task was ended by its timeout, by its budget or by a failure of the server itself."""

    type: Literal["error"]
    timestamp: str
    content: str
    error: ErrorDetailDict


class UnknownTaskEvent(TypedDict):
    """Event of a type that this version does not know. At run time, `type` is the name of that type."""

    type: Literal["<unknown>"]
    timestamp: str
    content: str


TaskEvent: TypeAlias = (
    ThinkingEvent
    | ToolCallEvent
    | ToolResultEvent
    | AgentSpawnEvent
    | SkillInvokeEvent
    | ResultEvent
    | ErrorEvent
    | UnknownTaskEvent
)
