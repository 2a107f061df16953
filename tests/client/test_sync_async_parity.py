"""Parity of the two clients, which differ only in ``await``, and the package's public names."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Generator
from typing import Any

import pytest

import claude_code_client
from claude_code_client import (
    AsyncBatch,
    AsyncClaudeClient,
    AsyncStream,
    AsyncTaskHandle,
    AsyncTaskStream,
    Batch,
    ClaudeClient,
    Stream,
    TaskHandle,
    TaskStream,
    errors,
    models,
)

PACKAGE = [
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
MODELS = [
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
ERRORS = [
    "APIConnectionError",
    "ArtifactError",
    "ArtifactMismatchError",
    "ArtifactTooLargeError",
    "AuthenticationError",
    "ClaudeAPIError",
    "ClosedError",
    "ConfigurationError",
    "ConflictError",
    "CostExceededError",
    "InvalidRequestError",
    "NotFoundError",
    "NotSupportedError",
    "OverloadedError",
    "PermissionError",
    "RateLimitError",
    "ServerError",
    "StorageError",
    "StreamInterruptedError",
    "TaskStalledError",
    "TimeoutError",
    "UnexpectedResponseError",
    "UnsafePathError",
]
CLIENT = [
    "api",
    "base_url",
    "budget",
    "cancel_task",
    "close",
    "complete",
    "download_artifact",
    "execute_task",
    "get_capabilities",
    "get_health",
    "get_task",
    "get_usage",
    "list_models",
    "list_tasks",
    "local",
    "map_completions",
    "map_tasks",
    "recover",
    "stream_complete",
    "stream_events",
    "stream_task",
    "submit_task",
    "usage",
    "with_options",
]


HANDLE = ["cancel", "detach", "events", "id", "refresh", "status", "task", "usage", "wait"]
TWINS: list[tuple[Any, Any, list[str]]] = [
    (ClaudeClient, AsyncClaudeClient, CLIENT),
    (TaskHandle, AsyncTaskHandle, HANDLE),
]
METHODS = [(ours, theirs, name) for ours, theirs, names in TWINS for name in names]
PROTOCOLS = [
    (ClaudeClient, AsyncClaudeClient, name) for name in ("__getstate__", "__init__", "__repr__", "__setstate__")
]
AT_ONCE = {
    *("api", "base_url", "budget", "local", "map_completions", "map_tasks", "usage", "with_options"),
    *("detach", "id", "status", "task", "usage"),
}

each_method = pytest.mark.parametrize(("ours", "theirs", "name"), METHODS)


def public(cls: type) -> list[str]:
    return [name for name in dir(cls) if not name.startswith("_")]


def function_of(cls: type, name: str) -> Any:
    attribute = inspect.getattr_static(cls, name)
    if isinstance(attribute, property):
        return attribute.fget
    return getattr(attribute, "__func__", attribute)


def without_async(text: object) -> str:
    """Replace the words of the asynchronous side by those of the synchronous one."""
    one = re.sub(r"\bAsync(?=Batch|ClaudeClient|Stream|TaskHandle|TaskStream)", "", str(text))
    return one.replace("AsyncEndpoints", "SyncEndpoints")


def words_of(doc: str | None) -> str:
    assert doc
    busy = "; in a busy event loop, call it as ``await asyncio.to_thread(AsyncClaudeClient.local)``"
    words = (
        " ".join(doc.split())
        .replace(busy, "")
        .replace(" It may be a coroutine function.", "")
        .replace("an ``async with``", "a ``with``")
        .replace("``async with``", "``with``")
    )
    return without_async(words).replace("share it between calls.", "share it between calls and between threads.")


@pytest.mark.parametrize(("ours", "theirs", "names"), TWINS)
def test_both_clients_have_the_documented_methods(ours: type, theirs: type, names: list[str]) -> None:
    assert public(ours) == names
    assert public(theirs) == names


@pytest.mark.parametrize(("ours", "theirs", "name"), METHODS + PROTOCOLS)
def test_signatures_differ_only_in_await(ours: type, theirs: type, name: str) -> None:
    assert type(inspect.getattr_static(ours, name)) is type(inspect.getattr_static(theirs, name))
    blocking = inspect.signature(function_of(ours, name))
    awaiting = inspect.signature(function_of(theirs, name))
    assert list(blocking.parameters.values()) == list(awaiting.parameters.values())
    assert without_async(awaiting.return_annotation) == str(blocking.return_annotation)


@each_method
def test_blocking_methods_match_coroutine_methods(ours: type, theirs: type, name: str) -> None:
    returned = str(inspect.signature(function_of(ours, name)).return_annotation)
    at_once = name in AT_ONCE or returned.startswith(("Stream", "TaskStream"))
    assert inspect.iscoroutinefunction(function_of(theirs, name)) is not at_once
    assert not inspect.iscoroutinefunction(function_of(ours, name))


def test_streams_have_the_methods_of_generators() -> None:
    assert public(TaskStream) == ["close", "last_event_id", "rate_limit", "request_id", "send", "task_id", "throw"]
    assert public(AsyncTaskStream) == [
        "aclose",
        "asend",
        "athrow",
        "last_event_id",
        "rate_limit",
        "request_id",
        "task_id",
    ]
    for ours, theirs in ((TaskStream, AsyncTaskStream), (Stream, AsyncStream)):
        assert ours.__doc__
        assert theirs.__doc__


def test_batches_differ_only_in_the_names_of_protocols() -> None:
    assert public(Batch) == ["close", "progress"]
    assert public(AsyncBatch) == ["aclose", "progress"]


def test_streams_implement_the_generator_protocol() -> None:
    client, other = ClaudeClient("sk-proj-x"), AsyncClaudeClient("sk-proj-x")
    for name in ("stream_task", "stream_complete"):
        assert isinstance(getattr(client, name)("x"), Generator)
        assert isinstance(getattr(other, name)("x"), AsyncGenerator)
    assert isinstance(client.list_tasks(), Generator)
    assert isinstance(other.list_tasks(), AsyncGenerator)
    waiting = other.complete("x")
    assert isinstance(waiting, Awaitable)
    waiting.close()


@each_method
def test_docstrings_differ_only_in_known_words(ours: type, theirs: type, name: str) -> None:
    assert words_of(function_of(theirs, name).__doc__) == words_of(function_of(ours, name).__doc__)


@pytest.mark.parametrize(("ours", "theirs"), [twins[:2] for twins in TWINS])
def test_class_docstrings_match(ours: type, theirs: type) -> None:
    assert words_of(theirs.__doc__) == words_of(ours.__doc__)


@pytest.mark.parametrize(
    ("module", "names"),
    [(claude_code_client, PACKAGE), (models, MODELS), (errors, ERRORS)],
    ids=["package", "models", "errors"],
)
def test_public_names_are_pinned(module: Any, names: list[str]) -> None:
    assert module.__all__ == names
    assert set(names) <= set(dir(module))
    for name in names:
        assert getattr(module, name) is not None
    star: dict[str, Any] = {}
    exec(f"from {module.__name__} import *", star)
    assert set(star) - {"__builtins__"} == set(names)


def test_exceptions_and_result_models_are_exported() -> None:
    for name in ERRORS:
        assert getattr(claude_code_client, name) is getattr(errors, name)
    for name in ("AgenticTaskResponse", "Artifact", "CompletionResponse", "TaskEvent", "Usage"):
        assert getattr(claude_code_client, name) is getattr(models, name)


def test_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        claude_code_client.Nonsense  # type: ignore[attr-defined] # noqa: B018
    with pytest.raises(ImportError):
        exec("from claude_code_client import Nonsense")


PACKAGE_MODULES = {"claude_code_client", "claude_code_common", "claude_code_common.version"}


def newly_imported(statement: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    return set(ran.stdout.split())


@pytest.mark.parametrize(
    ("statement", "ours"),
    [
        ("import claude_code_client; dir(claude_code_client)", PACKAGE_MODULES),
        ("from claude_code_client import TimeoutError", {*PACKAGE_MODULES, "claude_code_client.errors"}),
    ],
)
def test_importing_the_package_imports_no_third_party_library(statement: str, ours: set[str]) -> None:
    loaded = newly_imported(statement)
    assert {name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names} == ours
    assert not loaded & {"asyncio", "ssl", "http.client", "dataclasses", "inspect"}
