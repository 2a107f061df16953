"""Contains all the data models used in inputs/outputs"""

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
from .error import Error
from .error_detail import ErrorDetail
from .error_event import ErrorEvent
from .health import Health
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

__all__ = (
    "AgentSpawnEvent",
    "AgenticTaskResponse",
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
    "Error",
    "ErrorDetail",
    "ErrorEvent",
    "Health",
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
