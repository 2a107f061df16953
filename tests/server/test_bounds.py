"""Bounds of a server: followers, heads of requests, events and artifacts of a task, and the space on its disk."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.clients.raw_connection import RawConnection, head
from support.clients.socket_followers import Follower, ended, on_loop, start
from support.processes import eventually, processes_of
from support.servers.embedded_server import KEY, all_events, serving
from support.servers.messages_endpoint import Hang, Script, ScriptedMessages, message, tool
from support.servers.scripted_engine import DONE, Gate, ScriptedEngine, Step, says

from claude_code_client import ClaudeClient, InvalidRequestError, OverloadedError

ASK = {"messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


def refused(response: httpx.Response, message: str, retry_after: str = "5") -> None:
    assert (response.status_code, response.json()["error"]["type"]) == (503, "overloaded_error")
    assert message in response.json()["error"]["message"]
    assert response.headers["Retry-After"] == retry_after


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"max_followers_per_task": 3}, "3 event streams of this task are open, the limit. Close one of them first."),
        ({"max_followers": 3}, "3 event streams are open, the server's limit. Poll the task with get_task instead."),
        # A quarter of the connections is left to requests.
        ({"max_connections": 5}, "3 event streams are open, the server's limit."),
    ],
)
def test_followers_are_bounded(workspace: Path, gate: Gate, bounds: dict[str, Any], message: str) -> None:
    with (
        serving(workspace, ScriptedEngine(says("a"), gate, DONE), **bounds) as server,
        server.client() as client,
        contextlib.ExitStack() as stack,
    ):
        one, other = start(client), start(client)
        followers = [stack.enter_context(Follower(server, one)) for _ in range(3)]
        for follower in followers:
            follower.wait_for_bytes()
        refused(client.get(f"/task/{one}/events"), message)
        if "max_followers_per_task" in bounds:
            with Follower(server, other) as another:
                another.wait_for_bytes()
        else:
            refused(client.get(f"/task/{other}/events"), message)
        # A follower that leaves makes room; so do those whose stream ends.
        followers.pop().socket.close()

        async def count() -> int:
            return server.services.followers._by_task.total()

        eventually(lambda: on_loop(server, count) <= 2)
        followers.append(stack.enter_context(Follower(server, one)))
        followers[-1].wait_for_bytes()
        gate.open()
        assert [follower.ids() for follower in followers] == [[1, 2]] * 3
        eventually(lambda: on_loop(server, count) == 0)


def test_the_client_reports_refused_followers(workspace: Path, gate: Gate) -> None:
    with (
        serving(workspace, ScriptedEngine(says("a"), gate, DONE), max_followers_per_task=0) as server,
        ClaudeClient(api_key=KEY, base_url=server.base_url, max_retries=0) as client,
        client.submit_task("Do it.") as handle,
        pytest.raises(OverloadedError, match="event streams of this task"),
    ):
        list(client.stream_events(handle.id))


@pytest.mark.parametrize("complete", [False, True])
def test_a_head_that_is_too_large_is_431(workspace: Path, complete: bool) -> None:
    with serving(workspace, ScriptedEngine(), max_head_bytes=5_000) as server, server.client() as client:
        with RawConnection(server.address, head(X_Long="a" * 4_000)) as raw:
            assert raw.response().status == 200
        data = head(X_Long="a" * 20_000)
        with RawConnection(server.address, data if complete else data[:-4]) as raw:
            response = raw.response()
            assert (response.status, response.error_type) == (431, "request_too_large")
            assert "larger than 5000 bytes. Send fewer or shorter headers." in response.body["error"]["message"]
            assert response.headers["connection"] == "close"
        assert client.get("/health").status_code == 200


BIG = says("x" * 10_000)


@pytest.mark.parametrize(
    ("bounds", "events", "message"),
    [
        ({"max_task_events": 5}, [5], "more than 5 events, the most that this server keeps of one task"),
        # Those that come at once are stored together.
        ({"max_task_event_bytes": 1_000_000}, range(99, 202), "more than 1 MB of events, the most"),
    ],
)
def test_a_task_with_too_many_events_is_stopped(
    workspace: Path, tmp_path: Path, bounds: dict[str, Any], events: list[int], message: str
) -> None:
    never = Gate()
    engine = ScriptedEngine(*itertools.repeat(BIG, 250), never, DONE)
    state = tmp_path / "state"
    with serving(workspace, engine, state_dir=state, **bounds) as server, server.client() as client:
        task = ended(client, start(client))
        assert (task["status"], task["error"]["type"]) == ("failed", "request_too_large")
        assert message in task["error"]["message"]
        assert "Split it into smaller tasks" in task["error"]["message"]
        stored = all_events(client, task["id"])
        assert len(stored) - 1 in events
        assert (stored[-1].type, stored[-1].id) == ("error", len(stored))
        assert engine.at_once == 0
        with (
            ClaudeClient(api_key=KEY, base_url=server.base_url) as user,
            pytest.raises(InvalidRequestError, match="Split it"),
        ):
            list(user.stream_events(task["id"]))
        # Others are not affected.
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize("steps", [(says("a"), DONE), (*itertools.repeat(says("a"), 5), DONE)])
def test_a_task_at_the_limit_of_events_completes(workspace: Path, steps: tuple[Step, ...]) -> None:
    with serving(workspace, ScriptedEngine(*steps), max_task_events=5) as server, server.client() as client:
        assert ended(client, start(client))["status"] == "completed"


@pytest.mark.slow
def test_the_processes_of_a_task_with_too_many_events_end_and_its_artifacts_are_bounded(workspace: Path) -> None:
    script: Script = [
        message(tool("Bash", command="for n in 1 2 3 4 5; do echo $n > file$n; done; setsid sleep 600 >/dev/null &")),
        message(tool("Bash", command="sleep 600")),
        Hang(),
    ]
    options: dict[str, Any] = {"max_task_events": 2, "max_artifacts": 3, "max_artifact_bytes": 4}
    with (
        ScriptedMessages(script) as endpoint,
        serving(workspace, upstream=endpoint.url, upstream_key=KEY, **options) as server,
        server.client() as client,
    ):
        body = {"description": "Do it.", "allow_tools": ["Bash"]}
        task = client.post("/task", json=body).json()
        assert (task["status"], task["error"]["type"]) == ("failed", "request_too_large")
        assert len(task["execution_log"]) == 2
        assert [artifact["path"] for artifact in task["artifacts"]] == ["file1", "file2"]
        assert task["warnings"] == [
            "Not listed as artifacts, because there are more than 3 changed files: file4, file5.",
            "Not listed as artifacts, because the artifacts of a task may have 4e-06 MB together: file3.",
        ]
        eventually(lambda: not processes_of(workspace))


def test_a_disk_that_is_nearly_full_refuses_new_work(workspace: Path, tmp_path: Path, gate: Gate) -> None:
    engine = ScriptedEngine(says("a"), gate, says("b"), DONE)
    state = tmp_path / "state"
    options: dict[str, Any] = {"state_dir": state, "upstream": "offline"}
    with serving(workspace, engine, **options) as server, server.client() as client:
        keyed = {"Idempotency-Key": "k", "Prefer": "respond-async"}
        running = client.post("/task", json={"description": "Do it."}, headers=keyed).json()
        reply = client.post("/chat/completions", json=ASK, headers={"Idempotency-Key": "c"}).json()
        assert gate.reached.wait(15)
        guard = server.services.disk_guard
        guard._min_free_bytes = 10**18  # More than any disk has: as if it had filled up.
        for path, body in (("/task", {"description": "Another."}), ("/chat/completions", ASK)):
            refused(client.post(path, json=body), "MB left, and new work needs 1000000000000 MB", "60")
        refused(client.post("/chat/completions/stream", json=ASK), "Nothing was started", "60")
        ready = httpx.get(server.base_url.replace("/v1", "/health/ready"), verify=False)
        assert (ready.status_code, ready.json()["failing"]) == (503, ["disk"])
        # What was there before goes on, and is found.
        assert client.post("/task", json={"description": "Do it."}, headers=keyed).json()["id"] == running["id"]
        assert client.post("/chat/completions", json=ASK, headers={"Idempotency-Key": "c"}).json() == reply
        gate.open()
        assert ended(client, running["id"])["status"] == "completed"
        assert len(client.get("/task").json()["data"]) == 1
        guard._min_free_bytes = 0
        assert client.post("/task", json={"description": "Another."}).json()["status"] == "completed"
        assert client.post("/chat/completions", json=ASK).status_code == 200
