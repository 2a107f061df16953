"""The queue of tasks: order, fairness between keys, bounds, and what survives stops, kills and changed settings."""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
import threading
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clients.socket_followers import Follower
from support.processes import eventually
from support.servers.embedded_server import KEY, OTHER_KEY, all_events, serving
from support.servers.queue_server import queue_server
from support.servers.scripted_engine import DONE, Gate, ScriptedEngine, says

from claude_code_client import ClaudeClient, OverloadedError
from claude_code_server.domain.engine_protocol import TaskSpec
from claude_code_server.domain.entities import Task
from claude_code_server.domain.errors import ApiError
from claude_code_server.services.task_queue import QueueLimits, TaskQueue
from claude_code_server.storage.queued_specs import decode_spec, encode_spec

AT = "2026-11-22T12:00:00.000Z"
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    (folder / "src").mkdir(parents=True)
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def submit(client: httpx.Client, description: str, key: str | None = None, **body: Any) -> httpx.Response:
    headers = {"Prefer": "respond-async", **({"Idempotency-Key": key} if key else {})}
    return client.post("/task", json={"description": description, **body}, headers=headers)


def submitted(client: httpx.Client, description: str, **body: Any) -> str:
    response = submit(client, description, **body)
    assert (response.status_code, response.json()["status"]) in ((202, "pending"), (202, "running"))
    return str(response.json()["id"])


def ended(client: httpx.Client, task_id: str) -> dict[str, Any]:
    task: dict[str, Any] = client.get(f"/task/{task_id}", headers={"Prefer": "wait=10"}).json()
    assert task["completed_at"] is not None
    return task


def stored_tasks(state: Path) -> list[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(f"file:{state / 'state.sqlite3'}?mode=ro", uri=True)) as database:
        return database.execute("SELECT description, status FROM tasks ORDER BY n").fetchall()


# ---- the queue alone


def limits(running: int = 1, queued: int = 100, per_key: int = 100) -> QueueLimits:
    return QueueLimits(max_running=running, max_queued=queued, max_queued_per_key=per_key)


KEYS = st.sampled_from("abcd")
STEPS = st.lists(
    st.tuples(st.just("add"), KEYS)
    | st.tuples(st.just("start"), KEYS)
    | st.tuples(st.just("end"), KEYS)
    | st.tuples(st.just("remove"), KEYS),
    max_size=60,
)


@pytest.mark.slow
@given(STEPS, st.integers(1, 3), st.integers(0, 6), st.integers(0, 4))
@settings(max_examples=100, deadline=None)
def test_the_queue_is_ordered_within_a_key_fair_between_keys_and_bounded(
    steps: list[tuple[str, str]], slots: int, most: int, most_per_key: int
) -> None:
    queue = TaskQueue(limits(slots, most, most_per_key))
    waiting: dict[str, list[str]] = defaultdict(list)
    running: Counter[str] = Counter()
    passed: dict[str, Counter[str]] = defaultdict(Counter)
    """Tasks that each key has started since the other had its turn, while that one waited."""
    numbers = itertools.count()

    def start() -> str | None:
        task_id = queue.start_next()
        ready = {key for key, tasks in waiting.items() if tasks}
        if task_id is None:
            assert running.total() == slots or not ready
            return None
        key = task_id[0]
        assert running.total() < slots
        assert key in ready
        assert waiting[key].pop(0) == task_id
        running[key] += 1
        passed.pop(key, None)
        for other in ready - {key}:
            passed[other][key] += 1
            # Nobody gets two turns while another key waits for its own.
            assert passed[other][key] == 1
        return task_id

    for step, key in steps:
        if step == "add":
            full = len(waiting[key]) >= most_per_key or sum(map(len, waiting.values())) >= most
            at_once = not waiting[key] and running.total() < slots
            if full and not at_once:
                with pytest.raises(ApiError, match="waiting") as refused:
                    queue.check_room(key)
                assert (refused.value.status, refused.value.type) == (503, "overloaded_error")
                continue
            queue.check_room(key)
            waiting[key].append(f"{key}{next(numbers)}")
            queue.add(waiting[key][-1], key)
        elif step == "start":
            start()
        elif step == "end" and running[key]:
            running[key] -= 1
            queue.end(key)
        elif step == "remove" and waiting[key]:
            queue.remove(waiting[key].pop(len(waiting[key]) // 2), key)
        if not waiting[key]:
            passed.pop(key, None)
        assert len(queue) == sum(map(len, waiting.values()))
        assert [queue.queued(one) for one in "abcd"] == [len(waiting[one]) for one in "abcd"]
        assert queue.running() == running.total()


@pytest.mark.slow
@given(
    st.builds(
        TaskSpec,
        task_id=st.just("task_1"),
        description=st.just("Do it."),
        working_directory=st.just(Path("/w")),
        model=st.just("m"),
        tools=st.lists(st.text(), max_size=3).map(tuple),
        agents=st.lists(st.text(), max_size=3).map(tuple),
        skills=st.lists(st.text(), max_size=3).map(tuple),
        max_cost=st.floats(0, 100),
        timeout=st.floats(0, 3600),
        context=st.dictionaries(st.text(), JSON_VALUES, max_size=3),
    )
)
@settings(max_examples=20, deadline=None)
def test_a_stored_specification_is_read_back_as_it_was(spec: TaskSpec) -> None:
    task = Task("task_1", "k", "Do it.", "m", "/w", AT)
    assert decode_spec(encode_spec(spec), task) == spec


def test_a_specification_of_another_version_is_refused() -> None:
    task = Task("task_1", "k", "Do it.", "m", "/w", AT)
    for text in ('{"sandbox_of_the_future": true}', "[]", "{"):
        with pytest.raises(ValueError, match=r"not a specification|Expecting"):
            decode_spec(text, task)


# ---- a server


def test_keys_take_turns(workspace: Path, gate: Gate) -> None:
    engine = ScriptedEngine(gate, DONE)
    with (
        serving(workspace, engine, max_concurrent_tasks=1) as server,
        server.client() as one,
        server.client(OTHER_KEY) as other,
    ):
        for number in range(4):
            submitted(one, f"one {number}")
        last = [submitted(other, f"other {number}") for number in range(2)][-1]
        gate.open()
        ended(other, last)
        ended(one, one.get("/task").json()["data"][0]["id"])
    assert [spec.description for spec in engine.specs] == ["one 0", "one 1", "other 0", "one 2", "other 1", "one 3"]


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        ({"max_queued_tasks": 2}, "2 tasks are waiting, the server's limit"),
        ({"max_queued_tasks_per_key": 2}, "2 tasks of this key are waiting, the limit for one key"),
    ],
)
def test_a_full_queue_refuses_tasks_before_anything_is_stored(
    workspace: Path, state: Path, gate: Gate, bounds: dict[str, Any], reason: str
) -> None:
    engine = ScriptedEngine(gate, DONE)
    with (
        serving(workspace, engine, max_concurrent_tasks=1, state_dir=state, **bounds) as server,
        server.client() as client,
        server.client(OTHER_KEY) as other,
    ):
        ids = [submit(client, f"{number}", key=f"{number}").json()["id"] for number in range(3)]
        refused = submit(client, "3", key="3")
        assert (refused.status_code, refused.json()["error"]["type"]) == (503, "overloaded_error")
        assert reason in refused.json()["error"]["message"]
        assert refused.headers["Retry-After"] == "5"
        # A task that was submitted before is found, full or not.
        assert submit(client, "2", key="2").json()["id"] == ids[2]
        assert submit(other, "other").status_code == (503 if "max_queued_tasks" in bounds else 202)
        assert len(stored_tasks(state)) == (3 if "max_queued_tasks" in bounds else 4)
        assert client.post(f"/task/{ids[1]}/cancel").json()["status"] == "cancelled"
        taken = submit(client, "3", key="3")
        assert taken.status_code == 202
        gate.open()
        assert ended(client, taken.json()["id"])["status"] == "completed"


def test_the_client_knows_that_a_refused_task_has_not_run(workspace: Path, gate: Gate) -> None:
    engine = ScriptedEngine(gate, DONE)
    with (
        serving(workspace, engine, max_concurrent_tasks=1, max_queued_tasks=0) as server,
        ClaudeClient(api_key=KEY, base_url=server.base_url, max_retries=0) as client,
    ):
        with client.submit_task("One"), pytest.raises(OverloadedError, match="limit") as caught:
            client.execute_task("Two")
        assert (caught.value.outcome_unknown, caught.value.retry_after) == (False, 5.0)
    assert len(engine.specs) == 1


def test_a_stop_leaves_waiting_tasks_to_the_next_server(workspace: Path, state: Path, gate: Gate) -> None:
    engine = ScriptedEngine(says("a"), gate, DONE)
    options: dict[str, Any] = {"max_concurrent_tasks": 1, "state_dir": state}
    context = {"a": [1, {"b": None}]}
    with contextlib.ExitStack() as stack:
        with serving(workspace, engine, **options) as server, server.client() as client:
            running = submitted(client, "running")
            first = submitted(client, "first", context=context, allow_tools=["Read"], working_directory="src")
            second = submitted(client, "second")
            assert gate.reached.wait(15)
            follower = stack.enter_context(Follower(server, first))
            follower.wait_for_bytes()
        # Its stream ended without a terminal event, so that a client reconnects.
        assert follower.ids() == []
    assert stored_tasks(state) == [("running", "cancelled"), ("first", "pending"), ("second", "pending")]
    before = engine.specs
    again = ScriptedEngine(DONE)
    with serving(workspace, again, **options) as server, server.client() as client:
        assert [ended(client, one)["status"] for one in (running, first, second)] == [
            "cancelled",
            "completed",
            "completed",
        ]
        assert [event.type for event in all_events(client, first)] == ["result"]
        assert ended(client, first)["description"] == "first"
    assert [spec.description for spec in (*before, *again.specs)] == ["running", "first", "second"]
    spec = again.specs[0]
    assert (spec.context, spec.tools, spec.working_directory) == (context, ("Read",), workspace / "src")


def test_a_request_that_waits_for_a_queued_task_ends_with_the_server(workspace: Path, state: Path, gate: Gate) -> None:
    answers: list[httpx.Response] = []
    with contextlib.ExitStack() as stack:
        with serving(workspace, ScriptedEngine(gate), max_concurrent_tasks=1, state_dir=state) as server:
            client = stack.enter_context(server.client())
            submitted(client, "running")
            asking = threading.Thread(
                target=lambda: answers.append(client.post("/task", json={"description": "waiting"}))
            )
            asking.start()
            eventually(lambda: len(stored_tasks(state)) == 2)
        asking.join(10)
    [answer] = answers
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    assert answer.headers["Location"].endswith(answer.json()["id"])


def test_without_a_state_directory_a_stop_cancels_waiting_tasks(workspace: Path, gate: Gate) -> None:
    with contextlib.ExitStack() as stack:
        with serving(workspace, ScriptedEngine(gate), max_concurrent_tasks=1) as server, server.client() as client:
            submitted(client, "running")
            follower = stack.enter_context(Follower(server, submitted(client, "waiting")))
        assert follower.ids() == [1]


def test_a_waiting_task_can_be_cancelled_while_the_server_stops(workspace: Path, state: Path) -> None:
    stubborn = Gate(cancellable=False)
    options: dict[str, Any] = {"max_concurrent_tasks": 1, "state_dir": state, "shutdown_grace": 0.5}
    with serving(workspace, ScriptedEngine(stubborn), **options) as server, server.client() as client:
        submitted(client, "running")
        waiting = submitted(client, "waiting")
        services = server.services
        services.loop.call_soon_threadsafe(lambda: services.loop.create_task(services.stop()))
        eventually(lambda: not services.task_runner.is_active(waiting))
        assert client.post(f"/task/{waiting}/cancel").json()["status"] == "cancelled"
        assert submit(client, "late").status_code == 503
    assert stored_tasks(state) == [("running", "cancelled"), ("waiting", "cancelled")]


@pytest.mark.parametrize(
    ("change", "type_", "message"),
    [
        ("workspace", "invalid_request_error", "restarted with another workspace"),
        ("key", "authentication_error", "does not accept the API key of this task any more"),
        ("tools", "permission_error", "does not permit the tool Bash any more"),
        ("model", "invalid_request_error", "No price is known for the model"),
        ("spec", "server_error", "The server failed while it ran the task."),
    ],
)
def test_a_waiting_task_that_the_next_server_would_not_accept_fails(
    workspace: Path, state: Path, gate: Gate, change: str, type_: str, message: str
) -> None:
    options: dict[str, Any] = {"max_concurrent_tasks": 1, "state_dir": state}
    with serving(workspace, ScriptedEngine(gate), **options) as server, server.client() as client:
        submitted(client, "running")
        waiting = submitted(client, "waiting", allow_tools=["Bash"])
    elsewhere = workspace.parent / "elsewhere"
    elsewhere.mkdir()
    changes: dict[str, dict[str, Any]] = {
        "workspace": {},
        "key": {"api_keys": (OTHER_KEY,)},
        "tools": {"tools": frozenset({"Read"})},
        "model": {"upstream": "http://192.0.2.1:9"},
        "spec": {},
    }
    with contextlib.closing(sqlite3.connect(state / "state.sqlite3")) as database, database:
        if change == "spec":
            database.execute("UPDATE queued_specs SET spec = '{\"future\": 1}'")
        if change == "model":
            database.execute("UPDATE tasks SET model = 'unpriced-model'")
    engine = ScriptedEngine(DONE)
    folder = elsewhere if change == "workspace" else workspace
    key = OTHER_KEY if change == "key" else KEY
    with serving(folder, engine, **options, **changes[change]) as server, server.client(key) as client:
        # The next task gets its turn.
        assert client.post("/task", json={"description": "next", "allow_tools": []}).json()["status"] == "completed"
    with serving(workspace, ScriptedEngine(DONE), **options) as server, server.client() as client:
        task = ended(client, waiting)
        assert (task["status"], task["error"]["type"]) == ("failed", type_)
        assert message in task["error"]["message"]
        assert [event.type for event in all_events(client, waiting)] == ["error"]
    assert [spec.description for spec in engine.specs] == ["next"]


def test_the_queue_holds_no_key_and_forgets_what_has_started(workspace: Path, state: Path, gate: Gate) -> None:
    options: dict[str, Any] = {"max_concurrent_tasks": 1, "state_dir": state, "upstream_key": "sk-ant-canary"}
    with serving(workspace, ScriptedEngine(gate, DONE), **options) as server, server.client() as client:
        submitted(client, "running")
        waiting = submitted(client, "waiting", context={"note": "a note"})
        with contextlib.closing(sqlite3.connect(f"file:{state / 'state.sqlite3'}?mode=ro", uri=True)) as database:
            [(task_id, spec)] = database.execute("SELECT * FROM queued_specs").fetchall()
            assert (task_id, json.loads(spec)["context"]) == (waiting, {"note": "a note"})
            assert str(workspace) not in spec
            content = b"".join(path.read_bytes() for path in state.iterdir() if path.is_file())
            assert KEY.encode() not in content
            assert b"sk-ant-canary" not in content
            gate.open()
            ended(client, waiting)
            assert database.execute("SELECT * FROM queued_specs").fetchall() == []


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("count", [50, pytest.param(2000, marks=pytest.mark.long)])
def test_queued_tasks_survive_a_kill_in_order(workspace: Path, state: Path, count: int) -> None:
    with queue_server(workspace.parent) as (process, base_url):
        with httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {KEY}"}, verify=False) as client:
            submitted(client, "running")
            for number in range(count):
                submitted(client, f"{number}")
        process.kill()
        process.wait()
    engine = ScriptedEngine(DONE)
    with serving(workspace, engine, state_dir=state, max_concurrent_tasks=1) as server, server.client() as client:
        last = client.get("/task", params={"limit": 1}).json()["data"][0]
        eventually(lambda: client.get(f"/task/{last['id']}", headers={"Prefer": "wait=10"}).json()["completed_at"])
        assert ended(client, last["id"])["status"] == "completed"
    assert [spec.description for spec in engine.specs] == [f"{number}" for number in range(count)]
    statuses = Counter(status for _, status in stored_tasks(state))
    assert statuses == {"failed": 1, "completed": count}
    assert stored_tasks(state)[0] == ("running", "failed")


def test_large_requests_wait_on_the_disk_not_in_memory(workspace: Path, state: Path, gate: Gate) -> None:
    engine = ScriptedEngine(gate, DONE)
    options: dict[str, Any] = {"max_concurrent_tasks": 1, "state_dir": state}
    with serving(workspace, engine, **options) as server, server.client() as client:
        submitted(client, "running")
        waiting = submitted(client, "x" * 1_000_000, context={"y": "y" * 1_000_000})
        active = server.services.task_runner._active[waiting]
        assert (active.spec, active.task.description) == (None, "")
        gate.open()
        assert len(ended(client, waiting)["description"]) == 1_000_000
