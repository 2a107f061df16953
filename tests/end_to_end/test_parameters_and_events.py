"""Every documented parameter and event of a task in whole runs on the real Claude Code, and the lists afterwards."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from claude_code_api.api.tasks import stream_task_events
from support.clients.client_kinds import ClientKind
from support.servers.messages_endpoint import message, thinking, tool

from claude_code_client import CostExceededError, TimeoutError

from .conftest import CLIENTS, CLIENTS_AND_FORMS, FORMS, SharedServer, Upstream, crossed

PARAMETERS: dict[str, Any] = {
    "allow_tools": ["Bash", "Read"],
    "allow_agents": ["code-analyzer"],
    "allow_skills": ["semantic-text-matcher"],
    "timeout": 60,
    "max_cost": 0.75,
    "context": {"project": "myapp"},
    "model": "haiku",
    "working_directory": "src",
}
TYPES = {"thinking", "tool_call", "tool_result", "agent_spawn", "skill_invoke"}


def everything() -> list[dict[str, Any]]:
    """Return a script in which the model thinks, calls a tool, an agent and a skill, and calls some in vain."""
    return [
        message(thinking("Let me see."), tool("Bash", command="pwd; ls")),
        message(tool("Agent", subagent_type="code-analyzer", description="look", prompt="Look now.")),
        message("Nothing found."),
        message(tool("Skill", skill="semantic-text-matcher", args="a in b")),
        message(tool("Agent", subagent_type="security-auditor", description="audit", prompt="Look.")),
        message(tool("Skill", skill="dataviz", args="draw")),
        message(tool("Write", file_path="x.txt", content="x")),
        message("All done."),
    ]


def run(both: ClientKind, client: Any, streamed: bool, description: str, **options: Any) -> tuple[list[Any], Any]:
    """Run a task; return its events but the last, as in its execution log, and the task, fetched by its ID."""
    if streamed:
        stream = client.stream_task(description, **options)
        *events, end = both.each(stream)
        task = both.call(client.get_task(stream.task_id))
        assert (end["type"], end["status"], end["summary"]) == ("result", task.status, task.result["summary"])
        log = [{"action": event.pop("type"), **event} for event in events]
        assert log == task.execution_log
        return log, task
    task = both.call(client.execute_task(description, **options))
    assert both.call(client.get_task(task.id)) == task
    return task.execution_log, task


def check_lists(both: ClientKind, client: Any, task: Any) -> None:
    """Check that every operation that returns tasks still works and returns the task."""
    assert task in list(both.each(client.list_tasks()))
    assert both.call(client.cancel_task(task.id)) == task
    followed = list(both.each(client.stream_events(task.id)))
    assert [event["type"] for event in followed[:-1]] == [step["action"] for step in task.execution_log]
    assert list(both.each(client.stream_events(task.id, after=len(followed)))) == []


@pytest.mark.xdist_group("upstream")
@CLIENTS_AND_FORMS
def test_a_scripted_model(both: ClientKind, streamed: bool, upstream: Upstream) -> None:
    workspace, client = upstream.workspace, upstream.client(both)
    upstream.endpoint.follow(everything())
    log, task = run(both, client, streamed, "Do it.", **PARAMETERS)
    requests = [request.body for request in upstream.endpoint.requests]
    check_lists(both, client, task)
    assert (task.status, task.result["summary"], task.error) == ("completed", "All done.", None)
    assert {step["action"] for step in log} == TYPES
    calls = [step for step in log if step["action"] in ("tool_call", "agent_spawn", "skill_invoke")]
    results = [step for step in log if step["action"] == "tool_result"]
    assert [step["call_id"] for step in calls] == [step["call_id"] for step in results]
    assert [(step["tool"], step["status"]) for step in results] == [
        ("Bash", "success"),
        ("Agent", "success"),
        ("Skill", "success"),
        ("Agent", "error"),
        ("Skill", "error"),
        ("Write", "error"),
    ]
    assert [step["agent"] for step in calls if step["action"] == "agent_spawn"] == ["code-analyzer", "security-auditor"]
    assert [step["skill"] for step in calls if step["action"] == "skill_invoke"] == ["semantic-text-matcher", "dataviz"]
    assert results[0]["result"].startswith(str(workspace / "src"))
    assert not (workspace / "src" / "x.txt").exists()
    assert '\\"project\\": \\"myapp\\"' in json.dumps(requests[0]["messages"])
    assert {request["model"] for request in requests} == {"claude-haiku-5-5"}
    assert task.usage.input_tokens == 100 * len(requests)


CALLS = {
    "agent": ("Use the code-analyzer agent to count Python files", "agent_spawn", ("agent", "code-analyzer")),
    "skill": (
        "Use the semantic-text-matcher skill to count Python files",
        "skill_invoke",
        ("skill", "semantic-text-matcher"),
    ),
    "other agent": (
        "Use the security-auditor agent to count Python files",
        "agent_spawn",
        ("agent", "security-auditor"),
    ),
}


@pytest.mark.xdist_group("shared_server")
@crossed(
    ["sync-whole-agent", "async-streamed-skill", "sync-streamed-other agent"], both=CLIENTS, streamed=FORMS, call=CALLS
)
def test_the_offline_model(
    both: ClientKind, streamed: bool, call: tuple[str, str, tuple[str, str]], shared_server: SharedServer
) -> None:
    client = both.client(shared_server.base_url)
    options = {**PARAMETERS, "working_directory": f"{shared_server.name}/src"}
    description, action, (key, name) = call
    log, task = run(both, client, streamed, description, **options)
    assert task.status == "completed"
    [step] = [step for step in log if step["action"] == action]
    assert (step[key], bool(step["call_id"])) == (name, True)
    assert {"thinking", "tool_result", action} <= {step["action"] for step in log} <= TYPES
    check_lists(both, client, task)


@pytest.mark.xdist_group("upstream")
@CLIENTS_AND_FORMS
def test_budget_and_timeout_end_a_task(both: ClientKind, streamed: bool, upstream: Upstream) -> None:
    def fail(client: Any, error: type[CostExceededError | TimeoutError], **options: Any) -> Any:
        with pytest.raises(error) as caught:
            run(both, client, streamed, "Work", allow_tools=["Bash"], **options)
        assert caught.value.task is not None
        # On a busy machine, the client's own deadline passes before the server has ended the task.
        with pytest.raises(error):
            list(both.each(client.stream_events(caught.value.task.id)))
        return both.call(client.get_task(caught.value.task.id))

    endpoint, client = upstream.endpoint, upstream.client(both)
    script = [
        message(tool("Bash", command="true"), input_tokens=1_000_000, output_tokens=10),
        message("Never requested."),
    ]
    endpoint.follow(script)
    stopped = fail(client, CostExceededError, max_cost=0.5, model="sonnet")
    assert len(endpoint.requests) == 1
    assert (stopped.status, stopped.usage.cost) == ("cost_exceeded", pytest.approx(2.0, rel=0.01))
    endpoint.follow(lambda _: message(tool("Bash", command="sleep 60")))
    late = fail(client, TimeoutError, timeout=5)
    assert (late.status, bool(late.execution_log)) == ("timeout", True)
    assert {task.id for task in both.each(client.list_tasks())} >= {stopped.id, late.id}
    for task in (stopped, late):
        response = both.call(both.endpoint(stream_task_events)(task.id, client=client.api))
        *_, last = [line for line in response.parsed.split("\n") if line.startswith("data: ")]
        event = json.loads(last.removeprefix("data: "))
        assert (event["type"], event["error"]["type"]) == ("error", task.error["type"])
        with pytest.raises((CostExceededError, TimeoutError)):
            list(both.each(client.stream_events(task.id)))


ODD_NUMBERS = "[NaN, Infinity, -Infinity, 1e999, 0.5]"
DEEP = "[" * 970 + "]" * 970


@pytest.mark.xdist_group("upstream")
@CLIENTS_AND_FORMS
def test_a_result_that_json_cannot_express(both: ClientKind, streamed: bool, upstream: Upstream) -> None:
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    script = [
        message(tool("Bash", command="true", odd=deep)),
        message(f'Done.\n```json\n{{"odd": {ODD_NUMBERS}, "deep": {DEEP}, "plain": 1}}\n```'),
    ]
    upstream.endpoint.follow(script)
    client = upstream.client(both)
    log, task = run(both, client, streamed, "Do it.", allow_tools=["Bash"])
    check_lists(both, client, task)
    assert task.status == "completed"
    assert task.result["plain"] == 1
    assert task.result["odd"] == ["NaN", "Infinity", "-Infinity", "Infinity", 0.5]
    assert depth(task.result["deep"]) < 200
    [call] = [step for step in log if step["action"] == "tool_call"]
    assert 0 < depth(call["arguments"]["odd"]) <= 100
    assert [("event 1" in warning, "the result" in warning) for warning in task.warnings] == [
        (True, False),
        (False, True),
    ]
    assert math.isfinite(task.usage.cost)


def depth(value: Any) -> int:
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0
