"""Recovery: the server is killed during tasks and restarted; stored state and ends of the tasks."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.clients.client_kinds import KEY, ClientKind
from support.processes import eventually
from support.servers.billing_endpoint import BillingMessages
from support.servers.embedded_server import events_of
from support.servers.messages_endpoint import Hang, Reply, ScriptedMessages, message, thinking, tool
from support.servers.server_process import ServerProcess, server_process

from claude_code_client.errors import ClaudeAPIError

from .conftest import ONE_CLIENT

UPSTREAM_KEY = "sk-ant-canary"


def client_of(server: ServerProcess) -> httpx.Client:
    return httpx.Client(base_url=server.base_url, headers={"Authorization": f"Bearer {KEY}"}, timeout=20, verify=False)


def submit(client: httpx.Client, key: str, **body: Any) -> dict[str, Any]:
    headers = {"Prefer": "respond-async", "Idempotency-Key": key}
    fields = {"description": "Do it.", "model": "haiku", "allow_tools": ["Bash"], **body}
    response = client.post("/task", json=fields, headers=headers)
    assert response.status_code in (200, 202)
    task: dict[str, Any] = response.json()
    return task


def stream(client: httpx.Client, task_id: str, after: int | None = None) -> bytes:
    """Return the whole stream."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    response = client.get(f"/task/{task_id}/events", headers=headers)
    assert response.status_code == 200
    return response.content


def events(raw: bytes) -> list[tuple[int | None, str]]:
    return [(event.id, event.type) for event in events_of(iter(raw.decode().split("\n")))]


class Reader:
    """Reader of a task's stream in a thread of its own, until the stream ends in whatever way."""

    def __init__(self, server: ServerProcess, task_id: str) -> None:
        self.raw = b""
        self._more = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, args=(client_of(server), task_id))
        self._thread.start()

    def _read(self, client: httpx.Client, task_id: str) -> None:
        try:
            with client, client.stream("GET", f"/task/{task_id}/events") as response:
                for chunk in response.iter_raw():
                    with self._more:
                        self.raw += chunk
                        self._more.notify()
        except httpx.TransportError:
            pass
        finally:
            with self._more:
                self._ended = True
                self._more.notify()

    def wait_for(self, count: int) -> None:
        """Wait for a number of events, or for the end of the stream."""
        with self._more:
            assert self._more.wait_for(lambda: self._ended or self.raw.count(b"\n\n") >= count, 20)

    def result(self) -> bytes:
        """Wait for the end of the stream and return all events."""
        self._thread.join(20)
        assert self._ended
        return self.raw


def assert_sound(server: ServerProcess) -> None:
    assert server.query("PRAGMA integrity_check") == [("ok",)]
    assert list(server.state_dir.glob("run-*")) == []


def test_a_task_that_is_killed_with_its_server(tmp_path: Path) -> None:
    script = [
        message(thinking("Hm."), "Looking.", tool("Bash", command="echo one"), input_tokens=1000),
        message(tool("Bash", command="sleep 600 & echo $! >started; wait"), input_tokens=2000),
    ]
    with (
        ScriptedMessages(script) as endpoint,
        server_process(tmp_path, api_keys=[KEY], upstream=endpoint.url, upstream_key=UPSTREAM_KEY) as server,
        client_of(server) as client,
    ):
        started = server.workspace / "started"
        os.mkfifo(started)
        task_id = submit(client, "k1")["id"]
        reader = Reader(server, task_id)
        sleeping = int(started.read_text())
        reader.wait_for(5)
        running = client.get(f"/task/{task_id}").json()
        assert (running["status"], running["usage"]["input_tokens"]) == ("running", 3000)
        assert sleeping in {process.pid for process in server.process_tree()}

        server.kill()
        before = reader.result()
        steps = ["thinking", "thinking", "tool_call", "tool_result", "tool_call"]
        assert events(before) == list(enumerate(steps, 1))

        server.start()
        after = stream(client, task_id)
        assert after.startswith(before)
        [end] = events_of(iter(after[len(before) :].decode().split("\n")))
        assert (end.id, end.type, end.data["error"]["type"]) == (6, "error", "server_error")
        assert [number for number, _ in events(stream(client, task_id, 3))] == [4, 5, 6]
        assert stream(client, task_id, 5) == after[len(before) :]
        assert client.get(f"/task/{task_id}/events", headers={"Last-Event-ID": "6"}).status_code == 204

        task = client.get(f"/task/{task_id}").json()
        assert (task["status"], task["error"]) == ("failed", end.data["error"])
        assert task["usage"] == running["usage"]
        used = client.get("/usage").json()
        assert (used["total_tokens"], used["cost"]) == (3040, task["usage"]["total_cost"])
        assert used["cost"] == pytest.approx((3000 * 0.10 + 40 * 0.50) / 1e6)
        assert submit(client, "k1") == task
        assert client.get("/task").json()["data"] == [task]
        assert len(endpoint.requests) == 2
        assert server.process_tree() == []
        assert_sound(server)
        assert server.stop() == 0
        assert server.errors() == ""


@dataclass(frozen=True)
class After:
    """Moment of the kill: after a number of events or the last request to the model, plus a delay."""

    events: int = 0
    last_word: bool = False
    seconds: float = 0.0


FEW = [After(events=0), After(events=2), After(events=5), After(last_word=True, seconds=0.05)]
MANY = [
    *(After(events=events) for events in range(6)),
    *(After(last_word=True, seconds=number / 100) for number in range(15)),
    *(After(seconds=number / 10) for number in range(25)),
]


@pytest.mark.parametrize(
    "moments", [FEW, pytest.param(MANY, marks=[pytest.mark.long, pytest.mark.timeout(600)])], ids=["few", "many"]
)
def test_killed_at_some_moment(tmp_path: Path, moments: list[After]) -> None:
    last_word = threading.Event()

    def respond(body: dict[str, Any]) -> Reply:
        said = json.dumps(body["messages"]).count("tool_result")
        if said < 2:
            return message(tool("Bash", command=f"echo {said}"))
        last_word.set()
        return message("Done.")

    with (
        ScriptedMessages(respond) as endpoint,
        server_process(tmp_path, api_keys=[KEY], upstream=endpoint.url, upstream_key=UPSTREAM_KEY) as server,
        client_of(server) as client,
    ):
        for number, moment in enumerate(moments):
            last_word.clear()
            task_id = submit(client, str(number))["id"]
            reader = Reader(server, task_id)
            reader.wait_for(moment.events)
            if moment.last_word:
                assert last_word.wait(20)
            time.sleep(moment.seconds)
            server.kill()
            before = reader.result()
            server.start()

            request_count = len(endpoint.requests)
            after = stream(client, task_id)
            assert after.startswith(before)
            seen = events(after)
            assert [id for id, _ in seen] == list(range(1, len(seen) + 1))
            assert [type for _, type in seen if type in ("result", "error")] == [seen[-1][1]]
            task = client.get(f"/task/{task_id}").json()
            completed = moment.events == 5 or b"event: result" in after
            assert (task["status"], seen[-1][1]) == (("completed", "result") if completed else ("failed", "error"))
            assert submit(client, str(number)) == task
            assert len(endpoint.requests) == request_count
            assert sum(model["requests"] for model in client.get("/usage").json()["models"]) == number + 1
            assert_sound(server)
        assert server.stop() == 0


@ONE_CLIENT
def test_calls_in_progress_when_the_server_is_killed_are_charged(both: ClientKind, tmp_path: Path) -> None:
    """The upstream has taken the requests and charges for them, though nobody receives its replies."""
    with (
        BillingMessages(lambda _: Hang()) as endpoint,
        server_process(tmp_path, api_keys=[KEY], upstream=endpoint.url) as server,
    ):
        client = both.client(server.base_url, max_retries=0)

        def complete() -> None:
            with suppress(ClaudeAPIError):
                both.call(client.complete("Hi", model="haiku", max_tokens=100_000))

        handle = both.call(client.submit_task("Work.", model="haiku", max_cost=0.05))
        eventually(lambda: len(endpoint.requests) == 1)
        server.kill()
        server.start()
        task = both.call(client.get_task(handle.id))
        assert task.status == "failed"
        assert endpoint.bill <= task.usage.cost <= 0.05 * 1.1

        completing = threading.Thread(target=complete)
        completing.start()
        eventually(lambda: len(endpoint.requests) == 2)
        server.kill()
        completing.join(20)
        server.start()
        assert endpoint.bill <= both.call(client.get_usage()).usage.cost <= endpoint.bill * 1.1


def test_killed_with_the_offline_model(tmp_path: Path) -> None:
    with server_process(tmp_path, api_keys=[KEY]) as server, client_of(server) as client:
        (server.workspace / "a.py").touch()
        task_id = submit(client, "k", description="Count Python files")["id"]
        reader = Reader(server, task_id)
        reader.wait_for(1)
        assert server.kill() != []
        server.start()
        assert stream(client, task_id).startswith(reader.result())
        assert client.get(f"/task/{task_id}").json()["status"] == "failed"
        assert submit(client, "k", description="Count Python files")["id"] == task_id
