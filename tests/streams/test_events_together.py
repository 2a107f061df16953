"""Events that arrive together: the client takes them from a chunk one by one, as if each had come alone."""

from __future__ import annotations

from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.servers import responses
from support.servers.scripted_stream import scripted_stream, send_then_end, thinking_events

from claude_code_client import errors

RESULT = responses.result_event


def test_the_position_is_that_of_the_event_that_the_caller_has(both: ClientKind) -> None:
    with scripted_stream(send_then_end(thinking_events(*range(1, 9)) + RESULT(9))) as (server, _):
        stream: Any = both.client(server.base_url).stream_task("x")
        positions = [stream.last_event_id for _ in both.each(stream)]
    assert positions == [str(number) for number in range(1, 10)]


def test_a_stream_that_is_left_among_them_resumes_after_the_last_one_taken(both: ClientKind) -> None:
    with scripted_stream(
        send_then_end(thinking_events(*range(1, 9)) + RESULT(9)), send_then_end(thinking_events(4, 5) + RESULT(6))
    ) as (server, script):
        client: Any = both.client(server.base_url)
        stream = client.stream_task("x")
        for _ in both.each(stream):
            if stream.last_event_id == "3":
                break
        rest = list(both.each(client.stream_events(stream.task_id, after=stream.last_event_id)))
    assert [event["type"] for event in rest] == ["thinking", "thinking", "result"]
    assert script.after == [0, 3]


@pytest.mark.usefixtures("short_backoff")
def test_a_gap_among_them_is_requested_again_after_what_was_there(both: ClientKind) -> None:
    with scripted_stream(
        send_then_end(thinking_events(1, 2, 3, 5, 6) + RESULT(7)), send_then_end(thinking_events(4, 5, 6) + RESULT(7))
    ) as (server, script):
        events = list(both.each(both.client(server.base_url).stream_task("x")))
    assert [event["type"] for event in events] == ["thinking"] * 6 + ["result"]
    assert script.after == [0, 3]


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(b'id: 3\nevent: thinking\ndata: {"content": "x"}\n\n', id="without a type in its data"),
        pytest.param(b'id: 3\nevent: thinking\ndata:  {"type": "thinking"} \n\n', id="with spaces"),
        pytest.param(b'event: thinking\nid: 3\ndata: {"type": "thinking"}\n\n', id="in another order"),
        pytest.param(b'id: 3\r\nevent: thinking\r\ndata: {"type": "thinking"}\r\n\r\n', id="with CRLF"),
        pytest.param(b'id: 3\nevent: thinking\ndata: {"type":\ndata: "thinking"}\n\n', id="in two lines"),
        pytest.param(b": ping\n\n" + thinking_events(3), id="after a comment"),
        pytest.param(thinking_events(2) + thinking_events(3), id="after a duplicate"),
    ],
)
def test_unusual_events_among_them_are_events_too(both: ClientKind, odd: bytes) -> None:
    with scripted_stream(send_then_end(thinking_events(1, 2) + odd + thinking_events(4, 5) + RESULT(6))) as (server, _):
        events = list(both.each(both.client(server.base_url).stream_task("x")))
    assert [event["type"] for event in events] == ["thinking"] * 5 + ["result"]


def test_events_before_one_that_cannot_be_read_are_delivered(both: ClientKind) -> None:
    seen: list[Any] = []
    broken = b"id: 4\nevent: thinking\ndata: NaN\n\n"
    with scripted_stream(send_then_end(thinking_events(1, 2, 3) + broken + RESULT(5))) as (server, script):
        stream: Any = both.client(server.base_url).stream_task("x")
        with pytest.raises(errors.UnexpectedResponseError, match="Event 4"):
            seen.extend(stream.last_event_id for _ in both.each(stream))
    assert script.submits == 1


def test_the_hook_is_told_of_each(both: ClientKind) -> None:
    told: list[tuple[str, str | None]] = []
    with scripted_stream(send_then_end(thinking_events(1, 2, 3) + RESULT(4))) as (server, _):
        client = both.client(server.base_url, on_event=lambda info: told.append((info.type, info.task_id)))
        assert len(list(both.each(client.stream_task("x")))) == 4
    assert told == [("thinking", "task_1")] * 3 + [("result", "task_1")]
