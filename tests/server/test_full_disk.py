"""Storage failures: the task ends as failed, its followers receive the end, and the server continues."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.clients.socket_followers import Follower, ended, on_loop, start
from support.processes import eventually, processes_of
from support.servers.embedded_server import KEY, Running, all_events, serving
from support.servers.messages_endpoint import Hang, Script, ScriptedMessages, message, tool
from support.servers.scripted_engine import DONE, Gate, ScriptedEngine, Step, says

from claude_code_server.domain.engine_protocol import Outcome
from claude_code_server.domain.price_file import parse_price_file
from claude_code_server.domain.usage import Usage

pytestmark = pytest.mark.slow

BIG = "x" * 1_000_000
USAGE = Usage(70, 7, 0.25)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def pragma(server: Running, text: str) -> None:
    async def execute() -> None:
        server.services.store._db.execute(f"PRAGMA {text}").fetchall()

    on_loop(server, execute)


def fill(server: Running) -> None:
    """Limit the database to its present size, so that SQLite reports a full disk."""
    pragma(server, "max_page_count = 1")


@contextlib.contextmanager
def refusing(server: Running) -> Iterator[None]:
    """Make every write fail."""
    pragma(server, "query_only = ON")
    yield
    pragma(server, "query_only = OFF")


def assert_failed(task: dict[str, Any], usage: Usage = USAGE) -> None:
    assert task["status"] == "failed"
    assert task["error"] == {"type": "server_error", "message": "The server could not store the task's progress."}
    assert (task["usage"]["input_tokens"], task["usage"]["total_cost"]) == (usage.input_tokens, usage.cost)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((says(BIG), Gate(), DONE), id="event"),
        pytest.param((Outcome("completed", summary=BIG),), id="end"),
    ],
)
def test_a_full_disk_fails_the_task(workspace: Path, state: Path, gate: Gate, steps: tuple[Step, ...]) -> None:
    engine = ScriptedEngine(says("a"), USAGE, gate, *steps)
    with serving(workspace, engine, state_dir=state) as server, server.client() as client:
        task_id = start(client)
        with Follower(server, task_id) as follower:
            follower.wait_for_bytes()
            assert gate.reached.wait(15)
            fill(server)
            gate.open()
            assert follower.ids() == [1, 2]
        task = ended(client, task_id)
        assert_failed(task)
        last = all_events(client, task_id)[-1]
        assert (last.type, last.data["error"]) == ("error", task["error"])
        assert client.post(f"/task/{task_id}/cancel").json() == task
        assert engine.at_once == 0
    with serving(workspace, engine, state_dir=state) as server, server.client() as client:
        assert ended(client, task_id) == task
        assert client.get("/usage").json()["cost"] == USAGE.cost


def test_an_end_that_cannot_be_stored_is_visible_and_stored_later(workspace: Path, state: Path, gate: Gate) -> None:
    engine = ScriptedEngine(says("a"), USAGE, gate, DONE)
    with serving(workspace, engine, state_dir=state, max_concurrent_tasks=1) as server, server.client() as client:
        running, waiting = start(client), start(client)
        with Follower(server, running) as one, Follower(server, waiting) as other, refusing(server):
            gate.open()
            assert (one.ids(), other.ids()) == ([1, 2], [1])
            task = ended(client, running)
            assert_failed(task)
            assert_failed(ended(client, waiting), Usage())
            assert [event.id for event in all_events(client, running, 1)] == [2]
            assert all_events(client, running, 2) == []
            assert client.get("/task").json()["data"] == [ended(client, waiting), task]
            for status in ("running", "pending"):
                assert client.get("/task", params={"status": status}).json()["data"] == []
            refused = client.post("/task", json={"description": "Do it."}, headers={"Idempotency-Key": "k"})
            assert (refused.status_code, refused.json()["error"]["type"]) == (503, "overloaded_error")
            assert refused.headers["Retry-After"] == "5"
            assert len(engine.specs) == 1
            assert stored(state, running) == "running"
        taken = client.post("/task", json={"description": "Do it."}, headers={"Idempotency-Key": "k"})
        assert taken.json()["status"] == "completed"
        assert (stored(state, running), stored(state, waiting)) == ("failed", "failed")
        assert ended(client, running) == task
        assert client.get("/usage").json()["cost"] == 2 * USAGE.cost


def test_the_next_server_ends_a_task_whose_end_was_never_stored(workspace: Path, state: Path, gate: Gate) -> None:
    engine = ScriptedEngine(says("a"), USAGE, gate, DONE)
    with serving(workspace, engine, state_dir=state) as server, server.client() as client:
        task_id = start(client)
        assert gate.reached.wait(15)
        pragma(server, "query_only = ON")
        gate.open()
        assert [event.id for event in all_events(client, task_id)] == [1, 2]
    with serving(workspace, engine, state_dir=state) as server, server.client() as client:
        task = ended(client, task_id)
        assert (task["status"], task["error"]["type"]) == ("failed", "server_error")
        assert task["usage"]["total_cost"] == USAGE.cost
        assert [(event.id, event.type) for event in all_events(client, task_id)] == [(1, "thinking"), (2, "error")]


def stored(state: Path, task_id: str) -> str:
    with contextlib.closing(sqlite3.connect(f"file:{state / 'state.sqlite3'}?mode=ro", uri=True)) as database:
        [(status,)] = database.execute("SELECT status FROM tasks WHERE id = ?", (task_id,)).fetchall()
        return str(status)


def test_a_task_that_cannot_be_stored_leaves_no_process(workspace: Path, state: Path) -> None:
    goes_on = workspace / "goes_on"
    os.mkfifo(goes_on)
    script: Script = [message(tool("Bash", command="cat goes_on")), Hang()]
    with (
        ScriptedMessages(script) as endpoint,
        serving(workspace, upstream=endpoint.url, upstream_key=KEY, state_dir=state) as server,
        server.client() as client,
        Follower(server, start(client)) as follower,
    ):
        lines = (line for line in follower.lines() if line != b": ping\n")
        assert next(lines) == b"id: 1\n"
        with refusing(server):
            goes_on.write_text("now\n")
            assert [line for line in lines if line.startswith(b"event: ")] == [b"event: tool_call\n", b"event: error\n"]
            eventually(lambda: not processes_of(workspace))
        [task] = client.get("/task").json()["data"]
        assert_failed(task, Usage(100, 20, task["usage"]["total_cost"]))
        assert task["usage"]["total_cost"] > 0


ASK = {"messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize("price", ["free", "paid"])
@pytest.mark.parametrize("path", ["/chat/completions", "/chat/completions/stream"])
def test_a_reply_is_delivered_and_kept_whatever_the_disk_does(
    workspace: Path, state: Path, price: str, path: str
) -> None:
    asked, full = threading.Event(), threading.Event()

    def reply(_: Any) -> Any:
        asked.set()
        assert full.wait(10)
        return message("Only once.", input_tokens=1000, output_tokens=100)

    keyed = {"Idempotency-Key": "k"}
    body = ASK if price == "free" else {**ASK, "model": "sonnet"}
    catalog = parse_price_file('{"models": {"*": {"input_price": 0, "output_price": 0}}}')
    options: dict[str, Any] = {"upstream_key": KEY, "state_dir": state}
    if price == "free":
        options |= {"catalog": catalog, "model": "local"}

    def text(response: httpx.Response) -> str:
        assert response.status_code == 200
        assert "Only once." in response.text
        return response.text.rpartition('"content":')[2]

    with (
        ScriptedMessages(reply) as endpoint,
        ThreadPoolExecutor(1) as threads,
        serving(workspace, ScriptedEngine(), upstream=endpoint.url, **options) as server,
        server.client() as client,
    ):
        asking = threads.submit(client.post, path, json=body, headers=keyed)
        assert asked.wait(10)
        with refusing(server):
            full.set()
            first = text(asking.result(20))
            for _ in range(2):
                assert text(client.post(path, json=body, headers=keyed)) == first
            # What could not be kept is not asked for, even if it costs nothing.
            for key in ({}, {"Idempotency-Key": "another"}):
                refused = client.post(path, json=body, headers=key)
                assert (refused.status_code, refused.json()["error"]["type"]) == (503, "overloaded_error")
            assert len(endpoint.requests) == 1
        # The next transaction stores it.
        assert client.get("/usage").json()["models"][0]["requests"] == 1
        [(value,)] = rows(state, "SELECT value FROM idempotency WHERE scope = 'completion'")
        assert "Only once." in value
        assert rows(state, "SELECT count(*) FROM reservations") == [(0,)]
    options["upstream"] = "http://127.0.0.1:9"
    with serving(workspace, ScriptedEngine(), **options) as server, server.client() as client:
        assert text(client.post(path, json=body, headers=keyed)) == first
        assert client.get("/usage").json()["models"][0]["requests"] == 1


def rows(state: Path, sql: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(f"file:{state / 'state.sqlite3'}?mode=ro", uri=True)) as database:
        return database.execute(sql).fetchall()
