"""Large tasks: bounded pages, whole tasks, and an event loop that stays free."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from support.servers.embedded_server import all_events, serving
from support.servers.scripted_engine import DONE, ScriptedEngine, says

from claude_code_server.storage.read_pool import ReadPool

TASK = {"description": "Do it."}


def pages(client: Any, limit: int) -> list[Any]:
    """Return the responses for all pages."""
    found = [client.get("/task", params={"limit": limit})]
    while cursor := found[-1].json()["next_cursor"]:
        found.append(client.get("/task", params={"limit": limit, "cursor": cursor}))
    return found


@pytest.mark.slow
def test_a_page_bounds_the_logs(tmp_path: Path) -> None:
    engine = ScriptedEngine(*itertools.repeat(says("x" * 30_000), 10), DONE)
    with serving(tmp_path, engine) as server, server.client() as client:
        tasks = [client.post("/task", json=TASK).json() for _ in range(10)]
        [page] = pages(client, 10)
        assert len(page.content) < 700_000
        assert [task["id"] for task in page.json()["data"]] == [task["id"] for task in reversed(tasks)]
        for listed, task in zip(reversed(page.json()["data"]), tasks, strict=True):
            assert listed.pop("execution_log_truncated") is True
            assert listed.pop("execution_log") == task.pop("execution_log")[:2]
            assert listed == task
        whole = client.get(f"/task/{tasks[0]['id']}").json()
        assert len(whole["execution_log"]) == 10
        assert "execution_log_truncated" not in whole


@pytest.mark.slow
def test_a_page_bounds_the_tasks(tmp_path: Path) -> None:
    with serving(tmp_path, ScriptedEngine()) as server, server.client() as client:
        bodies = [{"description": f"{number}" + "x" * 900_000} for number in range(7)]
        ids = [client.post("/task", json=body).json()["id"] for body in bodies]
        found = pages(client, 100)
        assert [task["id"] for page in found for task in page.json()["data"]] == ids[::-1]
        assert [len(page.json()["data"]) for page in found] == [3, 3, 1]


def test_tasks_and_events_are_read_in_other_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[str] = set()

    def note(sql: str) -> None:
        if "FROM events" in sql and "max(seq)" not in sql:
            threads.add(threading.current_thread().name)

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect_really(*arguments, **options)
        connection.set_trace_callback(note)
        return connection

    connect_really = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", connect)
    with serving(tmp_path, ScriptedEngine(says("a"))) as server, server.client() as client:
        task_id = client.post("/task", json=TASK).json()["id"]
        client.get("/task")
        client.get(f"/task/{task_id}")
        all_events(client, task_id)
    assert threads
    assert {name.rpartition("_")[0] for name in threads} == {"store"}


def test_a_closed_pool_lends_nothing(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "a b%?#.sqlite3").close()
    pool = ReadPool(tmp_path / "a b%?#.sqlite3")
    with pool.connection() as lent:
        assert lent.execute("SELECT 1").fetchone()[0] == 1
        pool.close()
    with pytest.raises(sqlite3.ProgrammingError):
        lent.execute("SELECT 1")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"), pool.connection():
        pass
