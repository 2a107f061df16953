"""Structured results: ``context.result_schema`` on the real Claude Code."""

from __future__ import annotations

from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.servers.messages_endpoint import message, tool

from .conftest import CLIENTS_AND_FORMS, ONE_CLIENT, SharedServer, Upstream

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"count": {"type": "integer", "minimum": 0}, "names": {"type": "array", "items": {"type": "string"}}},
    "required": ["count", "names"],
    "additionalProperties": False,
}
GOOD = {"count": 2, "names": ["a", "b"]}
BAD = {"count": "two"}


def structured(**result: Any) -> dict[str, Any]:
    return tool("StructuredOutput", **result)


@pytest.mark.xdist_group("upstream")
@CLIENTS_AND_FORMS
def test_the_result_has_the_schema(both: ClientKind, streamed: bool, upstream: Upstream) -> None:
    endpoint, client = upstream.endpoint, upstream.client(both)
    if streamed:
        endpoint.follow([message(tool("Glob", pattern="*")), message(structured(**GOOD, summary="Mine."))])
        wanted = SCHEMA | {"properties": {**SCHEMA["properties"], "summary": {"type": "string"}}}
        *events, last = both.each(client.stream_task("Count.", allow_tools=["Glob"], context={"result_schema": wanted}))
        # What delivers the result is not a step of the task.
        assert [event["type"] for event in events] == ["tool_call", "tool_result"]
        assert (last["status"], last["summary"], last["result"]) == ("completed", "Mine.", {**GOOD, "summary": "Mine."})
        return
    context = {"project": "x", "result_schema": SCHEMA}
    endpoint.follow([message(structured(**BAD)), message("I counted.", structured(**GOOD)), message("Never.")])
    task = both.call(client.execute_task("Count.", allow_tools=["Read"], context=context))
    assert (task.status, task.result) == ("completed", {**GOOD, "summary": "I counted."})
    assert [entry["action"] for entry in task.execution_log] == []
    assert len(endpoint.requests) == 2
    prompt = str(endpoint.requests[0].body["messages"])
    assert '<context>\\n{"project": "x"}\\n</context>' in prompt


@pytest.mark.xdist_group("upstream")
@pytest.mark.parametrize(
    ("script", "reason", "calls"),
    [
        ([message(structured(**BAD))] * 9, "Failed to provide valid structured output after 5 attempts", 5),
        ([message("Two.")] * 9, "the model gave no structured result", 2),
    ],
)
def test_a_task_whose_result_does_not_conform_fails_and_tells_its_cost(
    upstream: Upstream, script: list[dict[str, Any]], reason: str, calls: int
) -> None:
    endpoint, client = upstream.endpoint, upstream.local
    endpoint.follow(script)
    task = client.execute_task("Count.", allow_tools=[], context={"result_schema": SCHEMA}, model="sonnet")
    assert (task.status, len(endpoint.requests)) == ("failed", calls)
    assert task.error is not None
    cost = calls * (100 * 2e-6 + 20 * 10e-6)
    assert task.usage.cost == pytest.approx(cost)
    assert f"The result does not conform to result_schema: {reason}" in task.error["message"]
    assert f"The task cost ${cost:.6f}." in task.error["message"]


@pytest.mark.xdist_group("shared_server")
@ONE_CLIENT
def test_the_offline_model_gives_a_structured_result_or_says_that_it_cannot(
    both: ClientKind, shared_server: SharedServer
) -> None:
    client = both.client(shared_server.base_url)

    def run(**properties: Any) -> Any:
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        return both.call(
            client.execute_task(
                "Count Python files in src/",
                allow_tools=["Bash"],
                context={"result_schema": schema},
                working_directory=shared_server.name,
            )
        )

    counted = run(count={"type": "integer"})
    assert (counted.status, counted.result["count"]) == ("completed", 3)
    failed = run(certain={"type": "boolean"})
    assert failed.status == "failed"
    assert "the model gave no structured result" in failed.error["message"]
