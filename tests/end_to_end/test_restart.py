"""Clients of a server that is killed during a task on the real Claude Code."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from support.clients.client_kinds import KEY, ClientKind
from support.processes import no_process_left
from support.servers.messages_endpoint import ScriptedMessages, message, thinking, tool
from support.servers.server_process import ServerProcess, server_process

from claude_code_client import ServerError, StreamInterruptedError

from .conftest import CLIENTS, crossed

pytestmark = pytest.mark.xdist_group("restart")

SCRIPT = [
    message(thinking("Hm."), "Looking.", tool("Bash", command="echo one")),
    message(tool("Bash", command="sleep 600 & echo $! >started; wait")),
]
STEPS = ["thinking", "thinking", "tool_call", "tool_result", "tool_call"]


@dataclass(frozen=True)
class Server:
    """The server of all tests of this module, with a folder for one test: each start costs seconds."""

    process: ServerProcess
    folder: Path
    """Every task in it creates a file and then runs a command that never ends."""

    @property
    def base_url(self) -> str:
        return self.process.base_url

    @property
    def task(self) -> dict[str, Any]:
        """The arguments for a task."""
        return {
            "description": "Do it.",
            "allow_tools": ["Bash"],
            "working_directory": self.folder.name,
            "timeout": 60,
        }


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ScriptedMessages, ServerProcess]]:
    with (
        ScriptedMessages([]) as endpoint,
        server_process(
            tmp_path_factory.mktemp("restart"), api_keys=[KEY], upstream=endpoint.url, upstream_key="sk-ant-dummy"
        ) as running,
    ):
        yield endpoint, running


@pytest.fixture(autouse=True)
def no_leftover_processes(_server: tuple[ScriptedMessages, ServerProcess]) -> Iterator[None]:
    """Fail if a test leaves a process behind, other than the restarted server."""
    with no_process_left(but=lambda: _server[1].pid):
        yield


@pytest.fixture
def server(_server: tuple[ScriptedMessages, ServerProcess]) -> Iterator[Server]:
    endpoint, process = _server
    endpoint.follow([*SCRIPT, *SCRIPT])
    folder = process.workspace / uuid.uuid4().hex
    folder.mkdir()
    os.mkfifo(folder / "started")
    yield Server(process, folder)
    # Only after a failure: the tests end with a server that runs.
    if not process.is_running:
        process.start()


class Killing(threading.Thread):
    """Kill the server once the command runs, and restart it after some seconds if requested."""

    def __init__(self, server: Server, seconds: float | None) -> None:
        super().__init__()
        self._server = server
        self._seconds = seconds
        self.seen: threading.Event = threading.Event()
        """Set by a reader that has received all earlier events."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seen.set()
        self.join()

    def run(self) -> None:
        (self._server.folder / "started").read_text()
        assert self.seen.wait(20)
        # Fails if a process of the task stays.
        assert self._server.process.kill() != []
        if self._seconds is not None:
            threading.Event().wait(self._seconds)
            self._server.process.start()


@crossed(["sync-at once", "async-later"], both=CLIENTS, away={"at once": 0.0, "later": 2.0})
def test_a_stream_survives_a_restart(both: ClientKind, server: Server, away: float) -> None:
    seen: list[Any] = []
    before = _task_ids(both, server)
    stream = both.client(server.base_url).stream_task(**server.task)
    with (
        Killing(server, away) as killing,
        pytest.raises(ServerError, match="stopped before the task ended") as caught,
    ):
        _read(both, stream, seen, killing)
    assert [event["type"] for event in seen] == STEPS
    assert (caught.value.error_type, caught.value.last_event_id) == ("server_error", "6")
    assert caught.value.task is not None
    assert (caught.value.task.id, caught.value.task.status) == (stream.task_id, "failed")

    client = both.client(server.base_url)
    again: list[Any] = []
    with pytest.raises(ServerError):
        again.extend(both.each(client.stream_events(stream.task_id)))
    assert again == [] or again == seen
    later: list[Any] = []
    with pytest.raises(ServerError):
        _read(both, client.stream_events(stream.task_id, after=3), later, killing)
    assert later == seen[3:]
    assert _task_ids(both, server) - before == {stream.task_id}
    assert server.process.query("PRAGMA integrity_check") == [("ok",)]
    assert server.process.process_tree() == []


def _task_ids(both: ClientKind, server: Server) -> set[str]:
    return {task.id for task in both.each(both.client(server.base_url).list_tasks())}


def _read(both: ClientKind, stream: Any, seen: list[Any], killing: Killing) -> None:
    for event in both.each(stream):
        seen.append(event)
        if len(seen) == len(STEPS):
            killing.seen.set()


@crossed(["sync-watched", "async-unwatched"], both=CLIENTS, watched={"watched": True, "unwatched": False})
def test_waiting_survives_a_restart_and_ends_with_the_task(both: ClientKind, server: Server, watched: bool) -> None:
    seen: list[Any] = []
    client = both.client(server.base_url)
    with Killing(server, 1.0) as killing:

        def on_event(event: Any) -> None:
            seen.append(event)
            if len(seen) == len(STEPS):
                killing.seen.set()

        if not watched:
            killing.seen.set()
        task = both.call(client.execute_task(**server.task, on_event=on_event if watched else None))
    assert (task.status, task.error["type"]) == ("failed", "server_error")
    assert task.usage.input_tokens > 0
    assert [event["type"] for event in seen] == ([*STEPS, "error"] if watched else [])


@pytest.mark.usefixtures("short_backoff")
def test_a_server_that_stays_away_ends_the_stream_with_what_is_needed_to_go_on(
    both: ClientKind, server: Server
) -> None:
    seen: list[Any] = []
    stream = both.client(server.base_url, max_retries=0).stream_task(**server.task)
    with Killing(server, None) as killing, pytest.raises(StreamInterruptedError) as caught:
        _read(both, stream, seen, killing)
    assert (caught.value.task_id, caught.value.last_event_id) == (stream.task_id, "5")
    server.process.start()
    client = both.client(server.base_url)
    with pytest.raises(ServerError) as ended:
        list(both.each(client.stream_events(caught.value.task_id, after=caught.value.last_event_id)))
    assert ended.value.last_event_id == "6"
