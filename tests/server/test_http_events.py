"""Events of every type over real sockets, validated against the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from claude_code_api.event_models import TASK_EVENT_MODELS
from support.servers.embedded_server import all_events, serving
from support.servers.scripted_engine import Emitted, ScriptedEngine

from claude_code_server.domain.engine_protocol import EventType

FIELDS: dict[EventType, dict[str, Any]] = {
    "thinking": {},
    "tool_call": {"tool": "Bash", "arguments": {"command": "ls", "deep": {"a": [1]}}, "call_id": "c1"},
    "tool_result": {"tool": "Bash", "call_id": "c1", "status": "success", "result": "a\nb"},
    "agent_spawn": {"agent": "code-analyzer", "reason": "Look.", "call_id": "c2"},
    "skill_invoke": {"skill": "semantic-text-matcher", "input": "a b", "call_id": "c3"},
}


def test_every_type_is_covered() -> None:
    assert set(FIELDS) == set(get_args(EventType))
    assert set(FIELDS) <= set(TASK_EVENT_MODELS)


@pytest.mark.parametrize("type_", FIELDS)
def test_an_event_reaches_stream_and_execution_log(tmp_path: Path, type_: EventType) -> None:
    fields = {"content": "A line.", **FIELDS[type_]}
    with serving(tmp_path, ScriptedEngine(Emitted(type_, fields))) as server, server.client() as client:
        task = client.post("/task", json={"description": "Do it."}).json()
        [entry] = task["execution_log"]
        assert entry == {"action": type_, "timestamp": entry["timestamp"], **fields}
        [event, _] = all_events(client, task["id"])
        assert event.data == {"type": type_, "timestamp": entry["timestamp"], **fields}


def test_fields_outside_the_contract_pass_through(tmp_path: Path) -> None:
    emitted = Emitted("thinking", {"content": "A line.", "newer": {"a": 1}})
    with serving(tmp_path, ScriptedEngine(emitted)) as server, server.client() as client:
        task = client.post("/task", json={"description": "Do it."}).json()
        [event, _] = all_events(client, task["id"])
        assert event.data["newer"] == task["execution_log"][0]["newer"] == {"a": 1}
