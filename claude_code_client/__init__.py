"""Python client for the Claude Code API.

``ClaudeClient`` and ``AsyncClaudeClient`` have ``complete()``, ``execute_task()`` and ``stream_task()``;
``ClaudeClient.local()`` starts an embedded server to use them on.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from claude_code_common.version import __version__

if TYPE_CHECKING:
    from claude_code_common.rate_limit import RateLimit

    from . import errors as errors
    from . import models as models
    from ._client._async.client import AsyncClaudeClient
    from ._client._async.streams import AsyncStream, AsyncTaskStream
    from ._client._async.task_handle import AsyncTaskHandle
    from ._client._bulk.async_batch import AsyncBatch
    from ._client._bulk.results import BatchProgress, BatchResult
    from ._client._bulk.sync_batch import Batch
    from ._client._sync.client import ClaudeClient
    from ._client._sync.streams import Stream, TaskStream
    from ._client._sync.task_handle import TaskHandle
    from ._client.options import CompletionItem, TaskItem
    from ._operations.hooks import EventInfo, RequestInfo, ResponseInfo
    from ._operations.response_cache import ResponseCache
    from ._policy.budget import Budget
    from ._policy.usage_meter import UsageTotals
    from .errors import (
        APIConnectionError,
        ArtifactError,
        ArtifactMismatchError,
        ArtifactTooLargeError,
        AuthenticationError,
        ClaudeAPIError,
        ClosedError,
        ConfigurationError,
        ConflictError,
        CostExceededError,
        InvalidRequestError,
        NotFoundError,
        NotSupportedError,
        OverloadedError,
        PermissionError,
        RateLimitError,
        ServerError,
        StorageError,
        StreamInterruptedError,
        TaskStalledError,
        TimeoutError,
        UnexpectedResponseError,
        UnsafePathError,
    )
    from .models import AgenticTaskResponse, Artifact, CompletionResponse, TaskEvent, Usage

__all__ = [
    "APIConnectionError",
    "AgenticTaskResponse",
    "Artifact",
    "ArtifactError",
    "ArtifactMismatchError",
    "ArtifactTooLargeError",
    "AsyncBatch",
    "AsyncClaudeClient",
    "AsyncStream",
    "AsyncTaskHandle",
    "AsyncTaskStream",
    "AuthenticationError",
    "Batch",
    "BatchProgress",
    "BatchResult",
    "Budget",
    "ClaudeAPIError",
    "ClaudeClient",
    "ClosedError",
    "CompletionItem",
    "CompletionResponse",
    "ConfigurationError",
    "ConflictError",
    "CostExceededError",
    "EventInfo",
    "InvalidRequestError",
    "NotFoundError",
    "NotSupportedError",
    "OverloadedError",
    "PermissionError",
    "RateLimit",
    "RateLimitError",
    "RequestInfo",
    "ResponseCache",
    "ResponseInfo",
    "ServerError",
    "StorageError",
    "Stream",
    "StreamInterruptedError",
    "TaskEvent",
    "TaskHandle",
    "TaskItem",
    "TaskStalledError",
    "TaskStream",
    "TimeoutError",
    "UnexpectedResponseError",
    "UnsafePathError",
    "Usage",
    "UsageTotals",
    "__version__",
]

# Names are imported when they are first used (PEP 562), so that importing the package costs next to nothing.
_MODULES: Final = {
    "AsyncClaudeClient": "_client._async.client",
    "ClaudeClient": "_client._sync.client",
    "AsyncBatch": "_client._bulk.async_batch",
    "Batch": "_client._bulk.sync_batch",
    "Budget": "_policy.budget",
    "RateLimit": "_wire.response_headers",
    "UsageTotals": "_policy.usage_meter",
    **dict.fromkeys(("EventInfo", "RequestInfo", "ResponseInfo"), "_operations.hooks"),
    "ResponseCache": "_operations.response_cache",
    "AsyncTaskHandle": "_client._async.task_handle",
    "TaskHandle": "_client._sync.task_handle",
    **dict.fromkeys(("BatchProgress", "BatchResult"), "_client._bulk.results"),
    **dict.fromkeys(("CompletionItem", "TaskItem"), "_client.options"),
    **dict.fromkeys(("AsyncStream", "AsyncTaskStream"), "_client._async.streams"),
    **dict.fromkeys(("Stream", "TaskStream"), "_client._sync.streams"),
    **dict.fromkeys(("AgenticTaskResponse", "Artifact", "CompletionResponse", "TaskEvent", "Usage"), "models"),
}


# Type checkers would take it for a promise that there is every name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in ("errors", "models"):
            return import_module(f".{name}", __name__)
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f".{_MODULES.get(name, 'errors')}", __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
