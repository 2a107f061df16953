"""``on_event``: callback for each event while a call waits for its task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind, open_client_kind
from support.servers import responses
from support.servers.context_server import ContextServer
from support.servers.context_server import context_server as serving
from support.servers.scripted_stream import scripted_stream, send_then_cut, send_then_end, thinking_events

from claude_code_client import CostExceededError, InvalidRequestError


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContextServer]:
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def server(_server: ContextServer) -> Iterator[ContextServer]:
    with _server.reset() as fresh:
        yield fresh


def test_callback_receives_each_event_while_waiting(both: ClientKind, server: ContextServer) -> None:
    client = both.client(server.base_url)
    events: list[Any] = []
    task = both.call(client.execute_task("Think", context={"events": 250}, on_event=events.append))
    assert [event["content"] for event in events[:-1]] == [str(number) for number in range(1, 251)]
    assert events[-1]["type"] == "result"
    assert task.result == {"summary": "Done: Think"}
    assert len(task.execution_log) >= 250
    assert task == both.call(client.get_task(task.id))


def test_callback_receives_events_across_reconnects(both: ClientKind) -> None:
    events: list[Any] = []
    with scripted_stream(
        send_then_cut(thinking_events(1, 2)), send_then_end(thinking_events(3) + responses.result_event(4))
    ) as (server, script):
        script.status = "completed"
        task = both.call(both.client(server.base_url).execute_task("x", on_event=events.append))
    assert [event["type"] for event in events] == ["thinking"] * 3 + ["result"]
    assert task.status == "completed"
    assert script.after == [0, 2]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_failed_task_is_returned(both: ClientKind, server: ContextServer, status: str) -> None:
    events: list[Any] = []
    client = both.client(server.base_url)
    task = both.call(client.execute_task("x", context={"status": status, "events": 1}, on_event=events.append))
    assert task.status == status
    assert [event["type"] for event in events] == ["thinking", "result"]


def test_task_ended_by_a_limit_raises_after_its_last_event(both: ClientKind, server: ContextServer) -> None:
    events: list[Any] = []
    client = both.client(server.base_url)
    with pytest.raises(CostExceededError) as caught:
        both.call(client.execute_task("x", context={"status": "cost_exceeded"}, on_event=events.append))
    assert [event["type"] for event in events] == ["error"]
    assert caught.value.task is not None
    assert caught.value.last_event_id == "1"


def test_exception_in_the_callback_ends_the_call_and_the_task(both: ClientKind, server: ContextServer) -> None:
    raised = KeyError("mine")

    def callback(_: Any) -> None:
        raise raised

    client = both.client(server.base_url)
    with pytest.raises(KeyError) as caught:
        both.call(client.execute_task("x", context={"events": 1, "hold": True}, on_event=callback))
    assert caught.value is raised
    assert server.tasks_by_status() == {"cancelled": 1}
    assert any("was cancelled" in note for note in raised.__notes__)


def test_handle_wait_reports_each_event(both: ClientKind, server: ContextServer) -> None:
    client = both.client(server.base_url)
    events: list[Any] = []
    handle = both.call(client.submit_task("x", context={"events": 3}))
    assert both.call(handle.wait(on_event=events.append)).status == "completed"
    assert [event["type"] for event in events] == ["thinking"] * 3 + ["result"]


def test_coroutine_callback_is_awaited(server: ContextServer) -> None:
    events: list[Any] = []

    async def callback(event: Any) -> None:
        events.append(event)

    with open_client_kind("async") as both:
        client = both.client(server.base_url)
        both.call(client.execute_task("x", context={"events": 2}, on_event=callback))
    assert len(events) == 3


async def coroutine(_: Any) -> None:
    return None


def test_callback_must_be_callable(both: ClientKind) -> None:
    client = both.client("http://127.0.0.1:9")
    for wrong in ("print", 1) if both.kind == "async" else ("print", 1, coroutine):
        with pytest.raises(InvalidRequestError, match="on_event must be a") as caught:
            both.call(client.execute_task("x", on_event=wrong))
        assert caught.value.param == "on_event"


def test_stop_iteration_in_the_callback_is_not_a_silent_end(both: ClientKind, server: ContextServer) -> None:
    client = both.client(server.base_url)
    with pytest.raises(RuntimeError, match="StopIteration"):
        both.call(client.execute_task("x", context={"events": 1, "hold": True}, on_event=lambda _: next(iter(()))))
    assert server.tasks_by_status() == {"cancelled": 1}


def test_finished_task_reports_its_events(both: ClientKind, server: ContextServer) -> None:
    client, events = both.client(server.base_url), list[Any]()
    for _ in range(2):
        events.clear()
        both.call(client.execute_task("x", context={"events": 2}, idempotency_key="k", on_event=events.append))
        assert [event["type"] for event in events] == ["thinking", "thinking", "result"]
