"""Scale: many tasks at once on the real Claude Code, and a store with very many events."""

from __future__ import annotations

import random
import sqlite3
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import pytest
from support.processes import eventually, processes_of
from support.servers.embedded_server import KEY, serving
from support.servers.messages_endpoint import ScriptedMessages, message, tool
from support.servers.scripted_engine import DONE, Gate, ScriptedEngine

from claude_code_server.domain.api_key import hash_key
from claude_code_server.domain.entities import Task, TaskEvent
from claude_code_server.storage.rows import task_to_row
from claude_code_server.storage.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.long]

AT = "2026-11-22T12:00:00.000Z"
TASKS = 10_000
EVENTS = 100
"""Events of each task."""
MOST_MS = 20.0


def _fill(folder: Path) -> None:
    """Make a store of a million events."""
    key = hash_key(KEY)
    Store(folder).close()
    with sqlite3.connect(folder / "state.sqlite3") as database:
        database.execute("PRAGMA synchronous = OFF")
        for number in range(TASKS):
            task = Task(f"task_{number}", key, f"Task {number}.", "m", "/w", AT)
            row = task_to_row(attrs.evolve(task, status="completed", completed_at=AT, summary="Done."))
            marks = ", ".join("?" * len(row))
            database.execute(f"INSERT INTO tasks ({', '.join(row)}) VALUES ({marks})", list(row.values()))
            events = [TaskEvent(seq, "thinking", AT) for seq in range(1, EVENTS)]
            events.append(TaskEvent(EVENTS, "result", AT))
            database.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
                [(task.id, event.seq, event.type, AT, '{"content": "Looking at a file."}') for event in events],
            )
    database.close()


@pytest.mark.timeout(300)
def test_a_million_events_slow_no_request_down(tmp_path: Path) -> None:
    state = tmp_path / "state"
    _fill(state)
    chosen = random.Random(1)
    gate = Gate()
    with serving(tmp_path, ScriptedEngine(gate, DONE), state_dir=state) as server, server.client() as client:
        client.event_hooks = {}
        client.post("/task", json={"description": "Run."}, headers={"Prefer": "respond-async"})

        def measure(name: str, path: Any, params: Any = None, count: int = 50) -> None:
            times = []
            for _ in range(count):
                began = time.process_time()  # of client and server
                response = client.get(path(), params=params and params())
                times.append((time.process_time() - began) * 1000)
                assert response.status_code == 200
            median, slowest = statistics.median(times), max(times)
            print(f"{name}: median {median:.1f} ms, slowest {slowest:.1f} ms")
            assert median < MOST_MS, name

        measure("get_task", lambda: f"/task/task_{chosen.randrange(TASKS)}")
        measure("list_tasks, first page", lambda: "/task")
        measure("list_tasks, any page", lambda: "/task", lambda: {"cursor": chosen.randrange(100, TASKS)})
        for status in ("running", "failed", "completed"):
            measure(f"list_tasks, {status}", lambda: "/task", lambda status=status: {"status": status})
        gate.open()


@pytest.mark.timeout(180)
def test_eight_tasks_run_at_once(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    # Each task waits until all eight run.
    command = "echo > $CLAUDE_PID; while [ $(ls | wc -l) -lt 8 ]; do sleep 0.1; done; setsid sleep 600 >/dev/null &"

    def reply(body: dict[str, Any]) -> Any:
        return message("Done.") if len(body["messages"]) > 1 else message(tool("Bash", command=command))

    with (
        ScriptedMessages(reply) as endpoint,
        serving(workspace, upstream=endpoint.url, upstream_key=KEY, max_concurrent_tasks=8) as server,
        server.client() as client,
        ThreadPoolExecutor(8) as threads,
    ):
        client.timeout = 150
        body = {"description": "Do it.", "allow_tools": ["Bash"], "timeout": 120}
        began = time.monotonic()
        tasks = [one.json() for one in threads.map(lambda _: client.post("/task", json=body), range(8))]
        print(f"8 tasks at once took {time.monotonic() - began:.1f} s")
        assert [task["status"] for task in tasks] == ["completed"] * 8
        assert all(task["completed_at"] > max(one["created_at"] for one in tasks) for task in tasks)
        eventually(lambda: not processes_of(workspace))
