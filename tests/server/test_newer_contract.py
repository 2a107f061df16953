"""A contract with values that this server does not know yet: no request fails with 500 because of them."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from support.contract_check import component
from support.servers.embedded_server import KEY, Running, serving
from support.servers.messages_endpoint import ScriptedMessages, message
from support.servers.scripted_engine import Emitted, ScriptedEngine, says

from claude_code_server.contract.operations import Contract
from claude_code_server.domain.engine_protocol import EndStatus, EventType, Outcome
from claude_code_server.domain.usage import Usage

TASK = {"description": "Do it."}


@pytest.fixture
def contract() -> Contract:
    """The contract with a new value in every enum of its requests."""
    document: dict[str, Any] = json.loads((files("claude_code_api") / "openapi.json").read_bytes())
    extended = 0
    for schema in document["components"]["schemas"].values():
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], "newer"]
            extended += 1
    assert extended >= 3
    return Contract(document)


def client_of(server: Running) -> httpx.Client:
    """A client without the check against the bundled contract, which does not know the new values."""
    return httpx.Client(base_url=server.base_url, headers={"Authorization": f"Bearer {KEY}"}, timeout=20, verify=False)


def test_a_new_usage_period_is_not_implemented(tmp_path: Path, contract: Contract) -> None:
    with serving(tmp_path, ScriptedEngine(), contract=contract) as server, client_of(server) as client:
        response = client.get("/usage", params={"period": "newer"})
        assert (response.status_code, response.json()["error"]["type"]) == (501, "not_implemented_error")
        assert response.json()["error"]["message"].endswith("'newer'; supported: day, week, month.")
        assert client.get("/usage", params={"period": "week"}).status_code == 200


def test_a_new_role_reaches_the_upstream(tmp_path: Path, contract: Contract) -> None:
    messages = [{"role": "newer", "content": "a"}, {"role": "user", "content": "b"}]
    with serving(tmp_path, ScriptedEngine(), contract=contract) as server, client_of(server) as client:
        assert client.post("/chat/completions", json={"messages": messages}).status_code == 200
        assert client.post("/chat/completions", json={"messages": messages[:1]}).status_code == 200


def test_a_new_stop_reason_reaches_the_client(tmp_path: Path) -> None:
    script = [message("a", stop_reason="newer")] * 2
    with (
        ScriptedMessages(script) as endpoint,
        serving(tmp_path, ScriptedEngine(), upstream=endpoint.url) as server,
        server.client() as client,
    ):
        body = {"messages": [{"role": "user", "content": "a"}]}
        assert client.post("/chat/completions", json=body).json()["stop_reason"] == "newer"
        assert '"stop_reason":"newer"' in client.post("/chat/completions/stream", json=body).text


def test_no_task_has_a_new_status_yet(tmp_path: Path, contract: Contract) -> None:
    with serving(tmp_path, ScriptedEngine(), contract=contract) as server, client_of(server) as client:
        client.post("/task", json=TASK)
        assert client.get("/task", params={"status": "newer"}).json()["data"] == []


def test_a_new_end_status_ends_the_task_with_an_error(tmp_path: Path) -> None:
    outcome = Outcome(cast(EndStatus, "newer"), summary="Half done.", usage=Usage(1, 2, 0.5))
    with serving(tmp_path, ScriptedEngine(outcome)) as server, client_of(server) as client:
        task = client.post("/task", json=TASK).json()
        assert (task["status"], task["error"]["type"], task["usage"]["total_cost"]) == ("newer", "server_error", 0.5)
        events = client.get(f"/task/{task['id']}/events").text
        [data] = [json.loads(line.removeprefix("data: ")) for line in events.split("\n") if line.startswith("data: ")]
        assert (data["type"], data["status"], data["summary"]) == ("result", "newer", "Half done.")


def test_a_new_event_type_passes_through_unchanged(tmp_path: Path) -> None:
    newer = Emitted(cast(EventType, "newer_event"), {"content": "a", "details": {"deep": [1]}})
    with serving(tmp_path, ScriptedEngine(says("a"), newer)) as server, server.client() as client:
        task = client.post("/task", json=TASK).json()
        log = task["execution_log"]
        assert [entry["action"] for entry in log] == ["thinking", "newer_event"]
        assert log[1]["details"] == {"deep": [1]}
        assert "type" not in log[1]
        response = client.get(f"/task/{task['id']}/events")
        [data] = [
            json.loads(line.removeprefix("data: ")) for line in response.text.split("\n") if '"newer_event"' in line
        ]
        assert data == {
            "type": "newer_event",
            "timestamp": log[1]["timestamp"],
            "content": "a",
            "details": {"deep": [1]},
        }
        assert component("LogEntry", log[1]) is None
