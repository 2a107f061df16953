# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

"""Model classes of stream events, by event type."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from .models.agent_spawn_event import AgentSpawnEvent
from .models.completion_done_event import CompletionDoneEvent
from .models.completion_error_event import CompletionErrorEvent
from .models.error_event import ErrorEvent
from .models.result_event import ResultEvent
from .models.skill_invoke_event import SkillInvokeEvent
from .models.text_delta_event import TextDeltaEvent
from .models.thinking_event import ThinkingEvent
from .models.tool_call_event import ToolCallEvent
from .models.tool_result_event import ToolResultEvent

CompletionEventModel: TypeAlias = TextDeltaEvent | CompletionDoneEvent | CompletionErrorEvent

COMPLETION_EVENT_MODELS: Final[Mapping[str, type[CompletionEventModel]]] = {
    "text_delta": TextDeltaEvent,
    "completion": CompletionDoneEvent,
    "error": CompletionErrorEvent,
}
"""Event type → model class, for every member of `CompletionEvent`."""


TaskEventModel: TypeAlias = (
    ThinkingEvent | ToolCallEvent | ToolResultEvent | AgentSpawnEvent | SkillInvokeEvent | ResultEvent | ErrorEvent
)

TASK_EVENT_MODELS: Final[Mapping[str, type[TaskEventModel]]] = {
    "thinking": ThinkingEvent,
    "tool_call": ToolCallEvent,
    "tool_result": ToolResultEvent,
    "agent_spawn": AgentSpawnEvent,
    "skill_invoke": SkillInvokeEvent,
    "result": ResultEvent,
    "error": ErrorEvent,
}
"""Event type → model class, for every member of `TaskEvent`."""
