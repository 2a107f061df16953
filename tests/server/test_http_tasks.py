"""Tasks over real sockets, on a scripted engine: creating, waiting, following, cancelling, listing."""

import asyncio
import hashlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.servers.embedded_server import KEY, OTHER_KEY, Running, all_events, events_of, serving
from support.servers.scripted_engine import DONE, Gate, ScriptedEngine, calls, says

from claude_code_server.domain.engine_protocol import Outcome
from claude_code_server.domain.entities import ArtifactFile
from claude_code_server.domain.usage import Usage

TASK = {"description": "Do it."}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    (folder / "src").mkdir(parents=True)
    return folder


def start(client: httpx.Client, **body: Any) -> dict[str, Any]:
    response = client.post("/task", json=TASK | body, headers={"Prefer": "respond-async"})
    assert response.status_code == 202
    task: dict[str, Any] = response.json()
    return task


def test_a_request_without_prefer_blocks_until_the_task_has_ended(workspace: Path) -> None:
    engine = ScriptedEngine(says("hm"), calls("Bash", command="ls"), DONE)
    with serving(workspace, engine) as server, server.client() as client:
        response = client.post("/task", json=TASK)
        assert response.status_code == 200
        assert "preference-applied" not in response.headers
        task = response.json()
        assert task["status"] == "completed"
        assert task["description"] == "Do it."
        assert task["result"] == {"summary": "Done.", "answer": 42}
        assert [(entry["action"], entry["content"]) for entry in task["execution_log"]] == [
            ("thinking", "hm"),
            ("tool_call", "Bash"),
        ]
        assert task["execution_log"][1]["arguments"] == {"command": "ls"}
        assert client.get(f"/task/{task['id']}").json() == task


def test_prefer_returns_before_the_end(workspace: Path, gate: Gate) -> None:
    table = {
        "respond-async": "respond-async",
        "respond-async, wait=0": "respond-async, wait=0",
        "wait=0": "wait=0",
        'Respond-Async; x="y", foo': "respond-async",
    }
    with serving(workspace, ScriptedEngine(gate)) as server, server.client() as client:
        for prefer, applied in table.items():
            response = client.post("/task", json=TASK, headers={"Prefer": prefer})
            assert response.status_code == 202
            task = response.json()
            assert task["status"] in ("pending", "running")
            assert (task["result"], task["completed_at"], task["error"]) == ({}, None, None)
            assert response.headers["location"] == f"/v1/task/{task['id']}"
            assert response.headers["preference-applied"] == applied
        again = client.get(f"/task/{task['id']}", headers={"Prefer": "wait=0"})
        assert again.json()["completed_at"] is None
        assert again.headers["preference-applied"] == "wait=0"
        gate.open()
        ended = client.get(f"/task/{task['id']}", headers={"Prefer": "wait=10"})
        assert ended.json()["status"] == "completed"


def test_prefer_wait_returns_200_when_the_task_ends_in_time(workspace: Path) -> None:
    with serving(workspace, ScriptedEngine(DONE)) as server, server.client() as client:
        response = client.post("/task", json=TASK, headers={"Prefer": "respond-async, wait=10"})
        assert response.status_code == 200
        assert response.headers["preference-applied"] == "wait=10"
        assert response.json()["status"] == "completed"


def test_unsupported_preferences_are_ignored(workspace: Path) -> None:
    with serving(workspace, ScriptedEngine(DONE)) as server, server.client() as client:
        response = client.post("/task", json=TASK, headers={"Prefer": "wait=soon, handling=strict"})
        assert response.status_code == 200
        assert "preference-applied" not in response.headers


def test_clients_of_the_legacy_service_are_served(workspace: Path) -> None:
    engine = ScriptedEngine(DONE)
    body = {
        "description": "Count",
        "project_id": "p1",
        "working_directory": "/project",
        "allow_tools": ["Bash"],
        "allow_agents": None,
        "allow_skills": None,
        "timeout": 300,
        "max_cost": 1.0,
        "context": None,
        "model": None,
    }
    with serving(workspace, engine) as server, server.client() as client:
        response = client.post("/task", json=body)
        assert response.status_code == 200
        assert response.json()["status"] == "completed"
    assert engine.specs[0].working_directory == workspace.resolve()
    assert engine.specs[0].tools == ("Bash",)


def test_the_task_spec_contains_the_request_or_the_defaults(workspace: Path) -> None:
    engine = ScriptedEngine(DONE)
    with serving(workspace, engine) as server, server.client() as client:
        assert client.post("/task", json=TASK).status_code == 200
        fields = {
            "allow_tools": ["Read", "Grep", "Read"],
            "allow_agents": ["code-analyzer"],
            "allow_skills": ["semantic-text-matcher"],
            "timeout": 7.5,
            "max_cost": 0.25,
            "context": {"a": [1, {"b": None}]},
            "model": "haiku",
            "working_directory": "src",
        }
        assert client.post("/task", json=TASK | fields).status_code == 200
        assert client.post("/task", json=TASK | {"allow_tools": [], "model": "some-model"}).status_code == 200
    default, full, bare = engine.specs
    assert (default.timeout, default.max_cost, default.context) == (300, 1.0, {})
    assert set(default.tools) == {"Read", "Grep", "Glob", "Bash", "Write", "Edit"}
    assert (default.agents, default.skills, default.model) == ((), (), "claude-sonnet-5-5")
    assert default.working_directory == workspace.resolve()
    assert (full.tools, full.agents, full.skills) == (("Read", "Grep"), ("code-analyzer",), ("semantic-text-matcher",))
    assert (full.timeout, full.max_cost, full.context) == (7.5, 0.25, {"a": [1, {"b": None}]})
    assert (full.model, full.working_directory) == ("claude-haiku-5-5", (workspace / "src").resolve())
    assert (bare.tools, bare.model) == ((), "some-model")


def test_invalid_tasks_are_rejected_before_they_are_stored(workspace: Path) -> None:
    (workspace / "link").symlink_to("/etc")
    (workspace / "file").write_text("")
    engine = ScriptedEngine(DONE)
    allowed = frozenset({"Read", "Bash"})
    table: list[tuple[dict[str, Any], int, str, str]] = [
        ({"allow_tools": ["Read", "Rm"]}, 400, "allow_tools[1]", "Bash"),
        ({"allow_agents": ["nobody"]}, 400, "allow_agents[0]", "code-analyzer"),
        ({"allow_skills": ["none"]}, 400, "allow_skills[0]", "semantic-text-matcher"),
        ({"allow_tools": ["WebSearch"]}, 403, "allow_tools", "WebSearch"),
        ({"working_directory": "nowhere"}, 400, "working_directory", "not a directory"),
        ({"working_directory": ".."}, 400, "working_directory", "inside"),
        ({"working_directory": "/etc"}, 400, "working_directory", "inside"),
        ({"working_directory": "/project/../.."}, 400, "working_directory", "inside"),
        ({"working_directory": "link"}, 400, "working_directory", "inside"),
        ({"working_directory": "file"}, 400, "working_directory", "not a directory"),
        ({"working_directory": "a\0b"}, 400, "working_directory", "not a"),
        ({"working_directory": "a" * 300}, 400, "working_directory", "not a"),
    ]
    with serving(workspace, engine, tools=allowed) as server, server.client() as client:
        for body, status, param, part in table:
            response = client.post("/task", json=TASK | body)
            assert response.status_code == status
            error = response.json()["error"]
            assert error["type"] == ("permission_error" if status == 403 else "invalid_request_error")
            assert error["param"] == param
            assert part in error["message"]
        assert client.get("/task").json()["data"] == []
        assert client.post("/task", json=TASK).status_code == 200
    assert [spec.tools for spec in engine.specs] == [("Bash", "Read")]


def test_a_blocking_request_reports_a_reached_limit_as_an_error(workspace: Path) -> None:
    exceeded = Outcome("cost_exceeded", usage=Usage(10, 5, 1.25))
    for engine, body, status, kind, cost in (
        (ScriptedEngine(Gate()), {"timeout": 0.05}, 408, "timeout_error", None),
        (ScriptedEngine(exceeded), {}, 402, "cost_exceeded_error", 1.25),
    ):
        with serving(workspace, engine) as server, server.client() as client:
            response = client.post("/task", json=TASK | body)
            assert response.status_code == status
            assert response.json()["error"]["type"] == kind
            assert response.json()["error"].get("estimated_cost") == cost
            task = client.get(response.headers["location"].removeprefix("/v1")).json()
            assert task["error"]["type"] == kind
            waited = client.post("/task", json=TASK | body, headers={"Prefer": "respond-async, wait=10"})
            assert waited.status_code == 200
            assert waited.json()["status"] == task["status"]
            assert [event.type for event in all_events(client, task["id"])] == ["error"]


def test_a_failed_task_is_a_successful_response(workspace: Path) -> None:
    engine = ScriptedEngine(Outcome("failed", error=("overloaded_error", "busy")))
    with serving(workspace, engine) as server, server.client() as client:
        response = client.post("/task", json=TASK)
        assert response.status_code == 200
        assert response.json()["status"] == "failed"
        assert response.json()["error"] == {"type": "overloaded_error", "message": "busy"}


def test_a_task_continues_after_its_blocking_client_disconnects(workspace: Path, gate: Gate) -> None:
    with serving(workspace, ScriptedEngine(gate)) as server, server.client() as client:
        body = b'{"description": "Do it."}'
        with socket.create_connection(server.address) as leaving:
            leaving.sendall(
                b"POST /v1/task HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            assert gate.reached.wait(15)
        gate.open()
        [task] = client.get("/task").json()["data"]
        ended = client.get(f"/task/{task['id']}", headers={"Prefer": "wait=10"}).json()
        assert ended["status"] == "completed"


@pytest.mark.slow
def test_tasks_and_events_survive_a_restart(workspace: Path, tmp_path: Path, gate: Gate) -> None:
    state = tmp_path / "state"
    with serving(workspace, ScriptedEngine(says("hm"), DONE), state_dir=state) as server, server.client() as client:
        done = client.post("/task", json=TASK, headers={"Idempotency-Key": "one"}).json()
        events = all_events(client, done["id"])
    engine = ScriptedEngine(says("hm"), gate)
    with serving(workspace, engine, state_dir=state, shutdown_grace=1.0) as server, server.client() as client:
        assert client.get(f"/task/{done['id']}").json() == done
        assert all_events(client, done["id"]) == events
        assert all_events(client, done["id"], after=1) == events[1:]
        assert client.post("/task", json=TASK, headers={"Idempotency-Key": "one"}).json() == done
        assert engine.specs == []
        stopped = start(client)
        with client.stream("GET", f"/task/{stopped['id']}/events") as response:
            following = events_of(response.iter_lines())
            assert next(following).type == "thinking"
            stopper = threading.Thread(target=_stop, args=(server,))
            stopper.start()
            end = [event for event in following if event.type != "comment"]
            assert [(event.type, event.data["status"]) for event in end] == [("result", "cancelled")]
        stopper.join()
    with serving(workspace, ScriptedEngine(), state_dir=state) as server, server.client() as client:
        assert client.get(f"/task/{stopped['id']}").json()["status"] == "cancelled"
        assert [event.type for event in all_events(client, stopped["id"])] == ["thinking", "result"]


def _stop(server: Running) -> None:
    """Stop the server's services from outside of its event loop."""
    loop = server.services.loop
    asyncio.run_coroutine_threadsafe(server.services.stop(), loop).result(10)


def test_the_same_key_and_body_return_the_same_task(workspace: Path) -> None:
    engine = ScriptedEngine(DONE)
    with serving(workspace, engine) as server, server.client() as client, server.client(OTHER_KEY) as other:
        headers = {"Idempotency-Key": "k1"}
        first = client.post("/task", json={"description": "a", "timeout": 5}, headers=headers)
        again = client.post("/task", content=b'{ "timeout":5, "description":"\\u0061"}', headers=headers | JSON)
        assert again.json() == first.json()
        conflict = client.post("/task", json={"description": "b", "timeout": 5}, headers=headers)
        assert conflict.status_code == 409
        assert conflict.json()["error"]["type"] == "idempotency_error"
        foreign = other.post("/task", json={"description": "a", "timeout": 5}, headers=headers)
        assert foreign.json()["id"] != first.json()["id"]
        assert client.post("/task", json={"description": "a", "timeout": 5}).json()["id"] != first.json()["id"]
    assert len(engine.specs) == 3


def test_twenty_concurrent_requests_with_one_key_are_one_run(workspace: Path, gate: Gate) -> None:
    engine = ScriptedEngine(gate, DONE)
    with serving(workspace, engine) as server, server.client() as client, ThreadPoolExecutor(20) as threads:
        calls = [threads.submit(client.post, "/task", json=TASK, headers={"Idempotency-Key": "k"}) for _ in range(20)]
        assert gate.reached.wait(15)
        gate.open()
        responses = [call.result(10) for call in calls]
        assert {response.status_code for response in responses} == {200}
        assert len({response.json()["id"] for response in responses}) == 1
    assert len(engine.specs) == 1


def test_cancel_returns_the_ended_task_and_is_idempotent(workspace: Path, gate: Gate) -> None:
    with serving(workspace, ScriptedEngine(says("hm"), gate)) as server, server.client() as client:
        task = start(client)
        cancelled = client.post(f"/task/{task['id']}/cancel")
        assert cancelled.status_code == 200
        assert cancelled.json()["status"] == "cancelled"
        assert cancelled.json()["error"]["type"] == "cancelled_error"
        assert client.post(f"/task/{task['id']}/cancel").json() == cancelled.json()
        gate.open()
        done = client.post("/task", json=TASK).json()
        assert client.post(f"/task/{done['id']}/cancel").json() == done


def test_tasks_are_visible_only_to_their_own_key(workspace: Path) -> None:
    with (
        serving(workspace, ScriptedEngine(DONE)) as server,
        server.client() as client,
        server.client(OTHER_KEY) as other,
    ):
        task_id = client.post("/task", json=TASK).json()["id"]
        for response in (
            other.get(f"/task/{task_id}"),
            other.get(f"/task/{task_id}/events"),
            other.post(f"/task/{task_id}/cancel"),
            other.get(f"/task/{task_id}/artifacts/art_1"),
            client.get("/task/task_none"),
        ):
            assert response.status_code == 404
            assert response.json()["error"]["type"] == "not_found_error"
        assert other.get("/task").json()["data"] == []


def test_lists_are_paged_newest_first(workspace: Path, gate: Gate) -> None:
    with serving(workspace, ScriptedEngine(gate), max_concurrent_tasks=1) as server, server.client() as client:
        ids = [start(client, description=str(number))["id"] for number in range(5)]
        client.post(f"/task/{ids[2]}/cancel")
        first = client.get("/task", params={"limit": 2}).json()
        assert [task["id"] for task in first["data"]] == [ids[4], ids[3]]
        second = client.get("/task", params={"limit": 2, "cursor": first["next_cursor"]}).json()
        assert [task["id"] for task in second["data"]] == [ids[2], ids[1]]
        third = client.get("/task", params={"limit": 2, "cursor": second["next_cursor"]}).json()
        assert [task["id"] for task in third["data"]] == [ids[0]]
        assert third["next_cursor"] is None
        pending = client.get("/task", params={"status": "pending"}).json()["data"]
        assert [task["id"] for task in pending] == [ids[4], ids[3], ids[1]]


def test_invalid_list_parameters_are_rejected(workspace: Path) -> None:
    wrong = [("limit", value) for value in ("0", "101", "x", "")] + [("cursor", "x"), ("cursor", ""), ("status", "odd")]
    with serving(workspace, ScriptedEngine()) as server, server.client() as client:
        for name, value in wrong:
            response = client.get("/task", params={name: value})
            assert response.status_code == 400
            assert response.json()["error"]["param"] == name


def test_unchanged_artifacts_can_be_downloaded_whole_and_in_part(workspace: Path) -> None:
    data = bytes(range(256)) * 4
    (workspace / "src" / "a.bin").write_bytes(data)
    (workspace / "empty").write_bytes(b"")
    (workspace.parent / "outside").write_bytes(data)
    (workspace / "link").symlink_to(workspace.parent / "outside")
    sha256 = hashlib.sha256(data).hexdigest()
    found = [
        ArtifactFile(path, len(data), sha256, "2026-11-22T12:00:00.000Z")
        for path in ("src/a.bin", "../outside", "link", "gone", "src")
    ]
    empty = ArtifactFile("empty", 0, hashlib.sha256(b"").hexdigest(), "2026-11-22T12:00:00.000Z")
    engine = ScriptedEngine(Outcome("completed", artifacts=(*found, empty)))
    with serving(workspace, engine) as server, server.client() as client:
        task = client.post("/task", json=TASK).json()
        urls = [f"/task/{task['id']}/artifacts/{artifact['id']}" for artifact in task["artifacts"]]

        whole = client.get(urls[0])
        assert (whole.status_code, whole.content, whole.headers["etag"]) == (200, data, f'"{sha256}"')
        assert whole.headers["accept-ranges"] == "bytes"
        for header, expected, said in (
            ("bytes=1000-", data[1000:], "bytes 1000-1023/1024"),
            ("bytes=0-0", data[:1], "bytes 0-0/1024"),
            ("bytes=-10", data[-10:], "bytes 1014-1023/1024"),
            ("bytes=1020-9999", data[1020:], "bytes 1020-1023/1024"),
        ):
            part = client.get(urls[0], headers={"Range": header})
            assert (part.status_code, part.content, part.headers["content-range"]) == (206, expected, said)
        for header in ("bytes=5-2", "lines=1-2", "bytes=0-1,5-6", "bytes=-"):
            assert client.get(urls[0], headers={"Range": header}).content == data
        beyond = client.get(urls[0], headers={"Range": "bytes=1024-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */1024")
        for tag, status in ((f'"{sha256}"', 206), ('"other"', 200)):
            assert client.get(urls[0], headers={"Range": "bytes=9-", "If-Range": tag}).status_code == status

        for url in urls[1:5]:
            assert client.get(url).status_code == 404
        assert client.get(urls[5]).content == b""
        assert client.get(urls[5], headers={"Range": "bytes=0-"}).status_code == 416
        assert client.get(f"/task/{task['id']}/artifacts/art_none").status_code == 404
        (workspace / "src" / "a.bin").write_bytes(data + b"more")
        changed = client.get(urls[0])
        assert changed.status_code == 404
        assert "changed" in changed.json()["error"]["message"]
