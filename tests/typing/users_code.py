"""User code for the type checkers. Not run: mypy and pyright check it.

A line with ``type: ignore`` is a mistake that both have to find, because they report unneeded comments.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, assert_never, assert_type

import claude_code_client
from claude_code_client import (
    AgenticTaskResponse,
    Artifact,
    AsyncClaudeClient,
    AuthenticationError,
    ClaudeAPIError,
    ClaudeClient,
    CompletionResponse,
    CostExceededError,
    StreamInterruptedError,
    TaskEvent,
    Usage,
    errors,
    models,
)


def results(client: ClaudeClient) -> None:
    reply = client.complete("Hello", model="sonnet", max_tokens=500, temperature=0.7, top_p=1)
    assert_type(reply, CompletionResponse)
    client.complete("Hello", extra_body={"a": [1]}, extra_headers={"X-A": "b"})
    assert_type(reply.content, str)
    assert_type(reply.model, str)
    assert_type(reply.stop_reason, str | None)
    assert_type(reply.usage, Usage)
    assert_type(reply.usage.total_tokens, int)
    assert_type(reply.usage.cost, float)
    assert_type(reply.usage.total_cost, float)
    assert_type(reply.to_dict(), dict[str, Any])
    task = client.execute_task(
        description="Count",
        allow_tools=("Bash", "Read"),
        allow_agents=["security-auditor"],
        allow_skills=[],
        timeout=300,
        max_cost=1,
        context={"project": "myapp", "deep": {"er": [1]}},
    )
    assert_type(task, AgenticTaskResponse)
    assert_type(task.status, str)
    assert_type(task.result, dict[str, Any])
    assert_type(task.execution_log, list[dict[str, Any]])
    assert_type(task.artifacts, list[Artifact])
    assert_type(task.artifacts[0].path, str)
    assert_type(task.artifacts[0].size_bytes, int)
    assert_type(task.artifacts[0].created_at, str)
    assert_type(task.created_at, str)
    assert_type(task.completed_at, str | None)
    assert_type(task.completed_datetime, datetime | None)
    assert_type(task.usage.total_cost, float)
    assert_type(client.get_task("task_1"), AgenticTaskResponse)
    assert_type(client.cancel_task("task_1"), AgenticTaskResponse)
    assert_type(client.list_tasks(), claude_code_client.Stream[AgenticTaskResponse])
    assert_type(client.list_models(), list[models.ModelInfo])
    assert_type(client.get_usage("day").models[0].usage, Usage)
    assert_type(client.get_capabilities().tools[0].name, str)
    assert_type(client.get_health().status, str)
    assert_type(client.complete(messages=[{"role": "user", "content": "Hello"}]).content, str)


async def asynchronous_results(client: AsyncClaudeClient) -> None:
    assert_type(await client.complete("Hello"), CompletionResponse)
    assert_type(await client.execute_task("Count", allow_tools=["Bash"]), AgenticTaskResponse)
    assert_type(await client.get_task("task_1"), AgenticTaskResponse)
    assert_type(await client.cancel_task("task_1"), AgenticTaskResponse)
    assert_type(client.stream_task("Count"), claude_code_client.AsyncTaskStream)
    assert_type(client.stream_complete("Hello"), claude_code_client.AsyncStream[str | CompletionResponse])
    assert_type(client.list_tasks("running"), claude_code_client.AsyncStream[AgenticTaskResponse])
    assert_type(await client.list_models(), list[models.ModelInfo])
    assert_type(await client.get_usage(), models.UsageReport)
    assert_type(await client.get_capabilities(), models.Capabilities)
    assert_type(await client.get_health(), models.Health)
    async for event in client.stream_task("Count"):
        if event["type"] == "result":
            assert_type(event, models.ResultEvent)
    async with client as same:
        assert_type(same, AsyncClaudeClient)
    assert_type(client.with_options(timeout=9), AsyncClaudeClient)
    assert_type(await client.close(), None)


def narrowing(client: ClaudeClient) -> None:
    assert_type(client.stream_task("Count"), claude_code_client.TaskStream)
    for event in client.stream_task("Count"):
        assert_type(event["content"], str)
        assert_type(event["timestamp"], str)
        if event["type"] == "thinking":
            assert_type(event, models.ThinkingEvent)
            assert_type(event["content"], str)
        elif event["type"] == "tool_call":
            assert_type(event, models.ToolCallEvent)
            assert_type(event["tool"], str)
            assert_type(event["arguments"], dict[str, Any])
        elif event["type"] == "tool_result":
            assert_type(event, models.ToolResultEvent)
            assert_type(event["result"], str)
        elif event["type"] == "agent_spawn":
            assert_type(event, models.AgentSpawnEvent)
            assert_type(event["agent"], str)
        elif event["type"] == "skill_invoke":
            assert_type(event, models.SkillInvokeEvent)
            assert_type(event["skill"], str)
        elif event["type"] == "result":
            assert_type(event, models.ResultEvent)
            assert_type(event["summary"], str)
            assert_type(event["usage"]["total_cost"], float)
            assert_type(event["artifacts"][0]["path"], str)
        elif event["type"] == "error":
            assert_type(event, models.ErrorEvent)
            assert_type(event["error"]["message"], str)
        else:
            assert_type(event, models.UnknownTaskEvent)
            assert_type(event["content"], str)
            assert_type(event["timestamp"], str)
            # A server may send event types that are newer than this version.
            assert_never(event)  # type: ignore[arg-type]


def pieces(client: ClaudeClient) -> None:
    for piece in client.stream_complete("Hello"):
        if isinstance(piece, str):
            assert_type(piece, str)
        else:
            assert_type(piece, CompletionResponse)


def streams_of(client: ClaudeClient, task: AgenticTaskResponse) -> None:
    with client.stream_task("Count", stall_timeout=60) as stream:
        assert_type(stream, claude_code_client.TaskStream)
        assert_type(next(stream), TaskEvent)
        assert_type(stream.task_id, str | None)
        assert_type(stream.last_event_id, str | None)
    client.stream_events("task_1", after=stream.last_event_id).close()
    assert_type(client.execute_task("Count", on_event=lambda event: print(event["content"])), AgenticTaskResponse)
    assert_type(client.download_artifact(task, task.artifacts[0], to="out/"), Path)
    assert_type(task.artifacts[0].read_bytes(), bytes)


async def asynchronous_streams(client: AsyncClaudeClient, task: AgenticTaskResponse) -> None:
    async def on_event(event: TaskEvent) -> None:
        print(event["content"])

    async with client.stream_task("Count", stall_timeout=60) as stream:
        assert_type(stream, claude_code_client.AsyncTaskStream)
        assert_type(await anext(stream), TaskEvent)
    assert_type(await client.execute_task("Count", on_event=on_event), AgenticTaskResponse)
    assert_type(await client.download_artifact(task, task.artifacts[0], to="out/"), Path)
    assert_type(await task.artifacts[0].aread_bytes(), bytes)


class OwnClient(ClaudeClient):
    """Subclass that a user writes."""


def clients(own: OwnClient) -> None:
    assert_type(own.with_options(headers={"X-Team": "a"}), OwnClient)
    assert_type(OwnClient.local("."), OwnClient)
    with own as same:
        assert_type(same, OwnClient)
    assert_type(ClaudeClient(), ClaudeClient)
    assert_type(ClaudeClient("sk-proj-x", "https://a.example", 9, 1), ClaudeClient)
    assert_type(own.base_url, str)
    assert_type(claude_code_client.__version__, str)


def handlers(client: ClaudeClient) -> None:
    try:
        client.execute_task("Count")
    except TimeoutError:
        pass
    except PermissionError:
        pass
    try:
        client.execute_task("Count")
    except claude_code_client.TimeoutError as error:
        assert_type(error.task, AgenticTaskResponse | None)
    except claude_code_client.RateLimitError as error:
        assert_type(error.retry_after, float | None)
    except CostExceededError as error:
        assert_type(error.estimated_cost, float | None)
    except StreamInterruptedError as error:
        assert_type(error.last_event_id, str | None)
    except AuthenticationError as error:
        assert_type(error, AuthenticationError)
    except ClaudeAPIError as error:
        assert_type(error.status_code, int | None)
        assert_type(error.error_type, str | None)
        assert_type(error.message, str)
        assert_type(error.request_id, str | None)
        assert_type(error.task_id, str | None)
        assert_type(error.body, Any)


def builtin_bases() -> tuple[type[OSError], type[OSError], type[ValueError]]:
    return errors.TimeoutError, errors.PermissionError, errors.ConfigurationError


def mistakes(client: ClaudeClient, waiting: AsyncClaudeClient, task: AgenticTaskResponse, event: TaskEvent) -> None:
    client.complete(5)  # type: ignore[arg-type]
    client.complete("Hello", nonsense=1)  # type: ignore[call-arg]
    client.complete("Hello", extra_headers={"X-A": 1})  # type: ignore[dict-item]
    client.complete("Hello", temperature="hot")  # type: ignore[arg-type]
    client.complete(messages="Hello")  # type: ignore[arg-type]
    client.execute_task()  # type: ignore[call-arg]
    client.execute_task("Count", allow_tools=5)  # type: ignore[arg-type]
    client.execute_task("Count", allow_tools=[1])  # type: ignore[list-item]
    client.execute_task("Count", context=["a"])  # type: ignore[arg-type]
    client.with_options(nonsense=1)  # type: ignore[call-arg]
    ClaudeClient(api_key=5)  # type: ignore[arg-type]
    ClaudeClient(nonsense=1)  # type: ignore[call-arg]
    waiting.complete("Hello").content  # type: ignore[attr-defined]  # noqa: B018
    task.nonsense  # type: ignore[attr-defined]  # noqa: B018
    task.status = "completed"  # type: ignore[misc]
    event["tool"]  # type: ignore[typeddict-item]
    if event["type"] == "thinking":
        event["tool"]  # type: ignore[typeddict-item]
    event["type"] == "nonsense"  # type: ignore[comparison-overlap]  # noqa: B015
    claude_code_client.Nonsense  # type: ignore[attr-defined]  # noqa: B018
