"""Event streams of tasks over HTTP: ids, pings, odd text."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.servers.embedded_server import all_events, events_of, serving
from support.servers.scripted_engine import DONE, Gate, ScriptedEngine, calls, says

from claude_code_server.domain.engine_protocol import Outcome

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


def test_events_have_consecutive_ids_and_one_terminal_event(workspace: Path) -> None:
    engine = ScriptedEngine(says("hm"), calls("Bash", command="ls"), says("so"), DONE)
    with serving(workspace, engine) as server, server.client() as client:
        task = client.post("/task", json=TASK).json()
        events = all_events(client, task["id"])
        assert [event.id for event in events] == [1, 2, 3, 4]
        assert [event.type for event in events] == ["thinking", "tool_call", "thinking", "result"]
        assert events[1].data["arguments"] == {"command": "ls"}
        end = events[-1].data
        assert end["content"] == end["summary"] == "Done."
        assert (end["status"], end["result"], end["usage"]) == ("completed", task["result"], task["usage"])
        assert [event.id for event in all_events(client, task["id"], after=2)] == [3, 4]
        assert all_events(client, task["id"], after=4) == []
        ended = client.get(f"/task/{task['id']}/events", headers={"Last-Event-ID": "4"})
        assert (ended.status_code, ended.content) == (204, b"")
        assert [event.id for event in all_events(client, task["id"], after=0)] == [1, 2, 3, 4]


def test_followers_receive_events_at_once_and_pings_in_between(workspace: Path, gate: Gate) -> None:
    engine = ScriptedEngine(says("first"), gate, says("second"), DONE)
    with serving(workspace, engine, ping_interval=0.05) as server, server.client() as client:
        task = start(client)

        def follow(_: int) -> list[str]:
            received = []
            with client.stream("GET", f"/task/{task['id']}/events") as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                assert response.headers["cache-control"] == "no-store"
                for event in events_of(response.iter_lines()):
                    if event.type == "comment":
                        pinged.release()
                        assert event.data["text"] == ": ping"
                    else:
                        received.append(f"{event.id} {event.data['content']}")
            return received

        pinged = threading.Semaphore(0)
        with ThreadPoolExecutor(20) as threads:
            following = [threads.submit(follow, number) for number in range(20)]
            for _ in range(20):
                assert pinged.acquire(timeout=15)
            gate.open()
            for one in following:
                assert one.result(10) == ["1 first", "2 second", "3 Done."]


def test_a_stream_opens_before_its_first_event(workspace: Path, gate: Gate) -> None:
    with serving(workspace, ScriptedEngine(gate, DONE)) as server, server.client() as client:
        task = start(client)
        with client.stream("GET", f"/task/{task['id']}/events") as response:
            assert response.status_code == 200
            gate.open()
            assert [event.type for event in events_of(response.iter_lines())] == ["result"]


@pytest.mark.slow
def test_a_stream_of_many_events_is_complete(workspace: Path) -> None:
    engine = ScriptedEngine(*(says(f"step {number}") for number in range(1000)), DONE)
    with serving(workspace, engine) as server, server.client() as client:
        events = all_events(client, start(client)["id"])
        assert [event.id for event in events] == list(range(1, 1002))
        assert events[998].data["content"] == "step 998"


def test_text_that_is_not_unicode_does_not_break_the_stream(workspace: Path) -> None:
    half = "half: \ud83d\nline\u2028two"
    engine = ScriptedEngine(says(half), Outcome("completed", summary=half, result={"summary": half, "said": half}))
    with serving(workspace, engine) as server, server.client() as client:
        task = client.post("/task", json=TASK).json()
        first, last = all_events(client, task["id"])
        assert first.data["content"] == "half: ?\nline\u2028two"
        assert last.data["status"] == task["status"] == "completed"
        assert last.data["summary"] == task["result"]["summary"] == task["result"]["said"] == first.data["content"]


def test_an_invalid_last_event_id_is_rejected(workspace: Path) -> None:
    with serving(workspace, ScriptedEngine(DONE)) as server, server.client() as client:
        task = client.post("/task", json=TASK).json()
        for value in ("abc", "-1", "1.5", "", "9" * 30, "7"):
            response = client.get(f"/task/{task['id']}/events", headers={"Last-Event-ID": value})
            assert response.status_code == 400
            assert response.json()["error"]["param"] == "Last-Event-ID"
