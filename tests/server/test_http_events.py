"""Events of every type over real sockets, validated against the contract."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from claude_code_api.event_models import TASK_EVENT_MODELS
from support.servers.embedded_server import KEY, all_events, serving
from support.servers.scripted_engine import Emitted, ScriptedEngine

from claude_code_server.domain.engine_protocol import EventType, Outcome

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


@pytest.mark.parametrize("type_", FIELDS)
def test_an_event_without_its_fields_breaks_nothing(tmp_path: Path, type_: EventType) -> None:
    """A server of another version may have stored it."""
    with serving(tmp_path, ScriptedEngine(Emitted(type_, {"content": "A line.", "arguments": []}))) as server:
        client = httpx.Client(
            base_url=server.base_url, headers={"Authorization": f"Bearer {KEY}"}, timeout=20, verify=False
        )
        with client:
            task = client.post("/task", json={"description": "Do it."}).json()
            entry = {key: value for key, value in task["execution_log"][0].items() if key != "timestamp"}
            assert entry == {"action": type_, "content": "A line.", "arguments": []}
            assert client.get("/task").json()["data"] == [task]
            assert client.post(f"/task/{task['id']}/cancel").json() == task
            assert "A line." in client.get(f"/task/{task['id']}/events").text


SEPARATORS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


def test_event_data_is_one_line_for_every_reader(tmp_path: Path) -> None:
    text = "".join(f"a{character}data: forged" for character in SEPARATORS)
    with serving(tmp_path, ScriptedEngine(Emitted("thinking", {"content": text}))) as server, server.client() as client:
        task = client.post("/task", json={"description": "Do it."}).json()
        assert all_events(client, task["id"])[0].data["content"] == text
        received = client.get(f"/task/{task['id']}/events").text
        assert received.splitlines() == received.split("\n")[:-1]
        messages = [{"role": "user", "content": text}]
        received = client.post("/chat/completions/stream", json={"messages": messages}).text
        assert received.splitlines() == received.split("\n")[:-1]


@pytest.mark.parametrize(
    ("value", "expressed"),
    [
        (math.nan, "NaN"),
        ([math.inf, {"a": -math.inf}], ["Infinity", {"a": "-Infinity"}]),
        (10**1000, hex(10**1000)),
        ("\ud800", "?"),
        (b"bytes", "b'bytes'"),
        ({1: (2, 3)}, {"1": [2, 3]}),
    ],
    ids=["nan", "infinities", "integer", "surrogate", "bytes", "names"],
)
def test_what_json_cannot_express_becomes_text_with_a_warning(tmp_path: Path, value: Any, expressed: Any) -> None:
    fields = {"content": "A line.", "tool": "Bash", "arguments": {"odd": value}, "call_id": "c1"}
    outcome = Outcome("completed", summary="Done.", result={"summary": "Done.", "odd": value})
    engine = ScriptedEngine(Emitted("tool_call", fields), outcome)
    with serving(tmp_path, engine) as server, server.client() as client:
        task = client.post("/task", json={"description": "Do it."}).json()
        assert task["result"]["odd"] == task["execution_log"][0]["arguments"]["odd"] == expressed
        call, result = all_events(client, task["id"])
        assert call.data["arguments"]["odd"] == result.data["result"]["odd"] == expressed
        exact = isinstance(value, dict)
        assert [("event 1" in warning, "the result" in warning) for warning in task["warnings"]] == (
            [] if exact else [(True, False), (False, True)]
        )
        assert result.data["warnings"] == task["warnings"]
        assert client.get("/task").json()["data"] == [task]


def test_unknown_fields_of_a_task_are_named_in_warnings(tmp_path: Path) -> None:
    body = {"description": "Do it.", "allowed_tools": ["Bash"], "context": {"anything": {"goes": 1}}}
    with serving(tmp_path, ScriptedEngine()) as server, server.client() as client:
        task = client.post("/task", json=body).json()
        assert task["warnings"] == ["This server does not know the field allowed_tools; it was ignored."]


def test_fields_outside_the_contract_pass_through(tmp_path: Path) -> None:
    emitted = Emitted("thinking", {"content": "A line.", "newer": {"a": 1}})
    with serving(tmp_path, ScriptedEngine(emitted)) as server, server.client() as client:
        task = client.post("/task", json={"description": "Do it."}).json()
        [event, _] = all_events(client, task["id"])
        assert event.data["newer"] == task["execution_log"][0]["newer"] == {"a": 1}
