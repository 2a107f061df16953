"""The two clients are the same but for ``await``, and the package has the public names that it is meant to have."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Generator
from typing import Any

import pytest

import claude_code_client
from claude_code_client import AsyncClaudeClient, ClaudeClient, errors, models

PACKAGE = [
    "APIConnectionError",
    "AgenticTaskResponse",
    "Artifact",
    "AsyncClaudeClient",
    "AuthenticationError",
    "ClaudeAPIError",
    "ClaudeClient",
    "CompletionResponse",
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
    "StreamInterruptedError",
    "TaskEvent",
    "TimeoutError",
    "UnexpectedResponseError",
    "Usage",
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
ERRORS = [
    "APIConnectionError",
    "AuthenticationError",
    "ClaudeAPIError",
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
    "StreamInterruptedError",
    "TimeoutError",
    "UnexpectedResponseError",
]
CLIENT = [
    "api",
    "base_url",
    "cancel_task",
    "close",
    "complete",
    "execute_task",
    "get_capabilities",
    "get_health",
    "get_task",
    "get_usage",
    "list_models",
    "list_tasks",
    "local",
    "stream_complete",
    "stream_task",
    "with_options",
]
PROTOCOLS = ["__getstate__", "__init__", "__repr__", "__setstate__"]


def public(cls: type) -> list[str]:
    return sorted(name for name in vars(cls) if not name.startswith("_"))


def function_of(cls: type, name: str) -> Any:
    attribute = inspect.getattr_static(cls, name)
    if isinstance(attribute, property):
        return attribute.fget
    return getattr(attribute, "__func__", attribute)


def kind_of(cls: type, name: str) -> str:
    attribute = inspect.getattr_static(cls, name)
    return type(attribute).__name__


def synchronous(annotation: object) -> str:
    """An annotation of the asynchronous client, as the synchronous one has it."""
    text = re.sub(r"AsyncGenerator\[(.*), None\]", r"Generator[\1, None, None]", str(annotation))
    return re.sub(r"\bAsync(?=ClaudeClient|Endpoints)", "", text).replace("AsyncEndpoints", "SyncEndpoints")


def in_synchronous_words(doc: str) -> str:
    busy = "; in a busy event loop, call it as ``await asyncio.to_thread(AsyncClaudeClient.local)``"
    joined = " ".join(doc.split())
    return joined.replace(busy, "").replace("share it between calls.", "share it: between calls, and between threads.")


def test_both_clients_have_the_methods_that_are_promised() -> None:
    assert public(ClaudeClient) == CLIENT
    assert public(AsyncClaudeClient) == CLIENT


@pytest.mark.parametrize("name", [*CLIENT, *PROTOCOLS])
def test_signatures_are_the_same_but_for_await(name: str) -> None:
    assert kind_of(ClaudeClient, name) == kind_of(AsyncClaudeClient, name)
    ours, theirs = function_of(ClaudeClient, name), function_of(AsyncClaudeClient, name)
    blocking, awaiting = inspect.signature(ours), inspect.signature(theirs)
    assert list(blocking.parameters.values()) == list(awaiting.parameters.values())
    expected = str(blocking.return_annotation).replace("SyncEndpoints", "Endpoints")
    assert synchronous(awaiting.return_annotation) == expected


@pytest.mark.parametrize("name", CLIENT)
def test_methods_wait_where_their_twins_are_awaited(name: str) -> None:
    awaited = inspect.iscoroutinefunction(function_of(AsyncClaudeClient, name))
    returned = str(inspect.signature(function_of(ClaudeClient, name)).return_annotation)
    at_once = name in {"api", "base_url", "local", "with_options"} or returned.startswith("Generator")
    assert awaited is not at_once
    assert not inspect.iscoroutinefunction(function_of(ClaudeClient, name))


def test_streams_are_generators_of_their_kind() -> None:
    client, other = ClaudeClient("sk-proj-x"), AsyncClaudeClient("sk-proj-x")
    for name in ("stream_task", "stream_complete"):
        assert isinstance(getattr(client, name)("x"), Generator)
        assert isinstance(getattr(other, name)("x"), AsyncGenerator)
    assert isinstance(client.list_tasks(), Generator)
    assert isinstance(other.list_tasks(), AsyncGenerator)
    waiting = other.complete("x")
    assert isinstance(waiting, Awaitable)
    waiting.close()


@pytest.mark.parametrize("name", [None, *CLIENT, "__init__"])
def test_docstrings_are_the_same_but_for_known_words(name: str | None) -> None:
    ours = ClaudeClient if name is None else function_of(ClaudeClient, name)
    theirs = AsyncClaudeClient if name is None else function_of(AsyncClaudeClient, name)
    assert ours.__doc__
    assert in_synchronous_words(theirs.__doc__) == " ".join(ours.__doc__.split())


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


def test_every_exception_and_the_models_of_results_are_at_the_top() -> None:
    for name in ERRORS:
        assert getattr(claude_code_client, name) is getattr(errors, name)
    for name in ("AgenticTaskResponse", "Artifact", "CompletionResponse", "TaskEvent", "Usage"):
        assert getattr(claude_code_client, name) is getattr(models, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        claude_code_client.Nonsense  # type: ignore[attr-defined] # noqa: B018
    with pytest.raises(ImportError):
        exec("from claude_code_client import Nonsense")


def newly_imported(statement: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    return set(ran.stdout.split())


@pytest.mark.parametrize(
    ("statement", "ours"),
    [
        ("import claude_code_client; dir(claude_code_client)", {"claude_code_client"}),
        ("from claude_code_client import TimeoutError", {"claude_code_client", "claude_code_client.errors"}),
    ],
)
def test_importing_the_package_imports_no_other_library(statement: str, ours: set[str]) -> None:
    loaded = newly_imported(statement)
    assert {name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names} == ours
    assert not loaded & {"asyncio", "ssl", "http.client", "dataclasses", "inspect"}
