# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

"""Models of requests, responses and events. Each is imported on first access."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .agent_spawn_event import AgentSpawnEvent
    from .agentic_task_response import AgenticTaskResponse
    from .artifact import Artifact
    from .capabilities import Capabilities
    from .capability import Capability
    from .completion_done_event import CompletionDoneEvent
    from .completion_error_event import CompletionErrorEvent
    from .completion_response import CompletionResponse
    from .completion_usage import CompletionUsage
    from .create_completion_request import CreateCompletionRequest
    from .create_task_request import CreateTaskRequest
    from .create_task_request_task_context import CreateTaskRequestTaskContext
    from .create_task_request_task_context_result_schema import (
        CreateTaskRequestTaskContextResultSchema,
    )
    from .error_body import Error
    from .error_detail import ErrorDetail
    from .error_event import ErrorEvent
    from .health import Health
    from .key_limits import KeyLimits
    from .log_entry import LogEntry
    from .message import Message
    from .model import Model
    from .model_list import ModelList
    from .model_usage import ModelUsage
    from .result_event import ResultEvent
    from .role import Role
    from .skill_invoke_event import SkillInvokeEvent
    from .task_list import TaskList
    from .task_result import TaskResult
    from .task_status import TaskStatus
    from .task_usage import TaskUsage
    from .text_block import TextBlock
    from .text_delta_event import TextDeltaEvent
    from .thinking_event import ThinkingEvent
    from .tool_call_event import ToolCallEvent
    from .tool_call_event_tool_arguments import ToolCallEventToolArguments
    from .tool_result_event import ToolResultEvent
    from .usage_period import UsagePeriod
    from .usage_report import UsageReport
else:
    _MODULES = {
        "AgentSpawnEvent": ".agent_spawn_event",
        "AgenticTaskResponse": ".agentic_task_response",
        "Artifact": ".artifact",
        "Capabilities": ".capabilities",
        "Capability": ".capability",
        "CompletionDoneEvent": ".completion_done_event",
        "CompletionErrorEvent": ".completion_error_event",
        "CompletionResponse": ".completion_response",
        "CompletionUsage": ".completion_usage",
        "CreateCompletionRequest": ".create_completion_request",
        "CreateTaskRequest": ".create_task_request",
        "CreateTaskRequestTaskContext": ".create_task_request_task_context",
        "CreateTaskRequestTaskContextResultSchema": ".create_task_request_task_context_result_schema",
        "Error": ".error_body",
        "ErrorDetail": ".error_detail",
        "ErrorEvent": ".error_event",
        "Health": ".health",
        "KeyLimits": ".key_limits",
        "LogEntry": ".log_entry",
        "Message": ".message",
        "Model": ".model",
        "ModelList": ".model_list",
        "ModelUsage": ".model_usage",
        "ResultEvent": ".result_event",
        "Role": ".role",
        "SkillInvokeEvent": ".skill_invoke_event",
        "TaskList": ".task_list",
        "TaskResult": ".task_result",
        "TaskStatus": ".task_status",
        "TaskUsage": ".task_usage",
        "TextBlock": ".text_block",
        "TextDeltaEvent": ".text_delta_event",
        "ThinkingEvent": ".thinking_event",
        "ToolCallEvent": ".tool_call_event",
        "ToolCallEventToolArguments": ".tool_call_event_tool_arguments",
        "ToolResultEvent": ".tool_result_event",
        "UsagePeriod": ".usage_period",
        "UsageReport": ".usage_report",
    }

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(_MODULES[name], __name__), name)
        return value

    def __dir__():
        return sorted({*globals(), *__all__})


__all__ = (
    "AgenticTaskResponse",
    "AgentSpawnEvent",
    "Artifact",
    "Capabilities",
    "Capability",
    "CompletionDoneEvent",
    "CompletionErrorEvent",
    "CompletionResponse",
    "CompletionUsage",
    "CreateCompletionRequest",
    "CreateTaskRequest",
    "CreateTaskRequestTaskContext",
    "CreateTaskRequestTaskContextResultSchema",
    "Error",
    "ErrorDetail",
    "ErrorEvent",
    "Health",
    "KeyLimits",
    "LogEntry",
    "Message",
    "Model",
    "ModelList",
    "ModelUsage",
    "ResultEvent",
    "Role",
    "SkillInvokeEvent",
    "TaskList",
    "TaskResult",
    "TaskStatus",
    "TaskUsage",
    "TextBlock",
    "TextDeltaEvent",
    "ThinkingEvent",
    "ToolCallEvent",
    "ToolCallEventToolArguments",
    "ToolResultEvent",
    "UsagePeriod",
    "UsageReport",
)
