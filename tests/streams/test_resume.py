"""A stream that is cut goes on: each event once, in order, and never a silent end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from support import raw, wire
from support.both import Both
from support.connections import Connection, ends, hangs_up, refuses, scripted, sends, thinking

from claude_code_client import errors
from claude_code_client._policy.reconnect import MAX_RECONNECTS

RESULT = wire.result_event


def numbers_of(both: Both, client: Any) -> list[str]:
    """The types of the events of a task, as they come."""
    return [event["type"] for event in both.each(client.stream_task("x"))]


@pytest.mark.usefixtures("briefly")
def test_a_stream_goes_on_where_it_was_cut(both: Both) -> None:
    with scripted(
        sends(thinking(1, 2)),
        ends(thinking(3)),
        hangs_up,
        refuses(503, "overloaded_error"),
        sends(thinking(4) + wire.event(5, "thinking")[:-1]),
        refuses(500),
        ends(thinking(5) + RESULT(6)),
    ) as (server, script):
        client = both.client(server.base_url, max_retries=0)
        assert numbers_of(both, client) == ["thinking"] * 5 + ["result"]
    assert script.after == [0, 2, 3, 3, 3, 4, 4]
    assert (script.submits, script.cancels) == (1, 0)


@pytest.mark.parametrize("end", [sends, ends])
def test_an_event_that_came_in_part_is_asked_for_again(both: Both, end: Callable[..., Connection]) -> None:
    whole = wire.event(2, "thinking")
    for cut in (1, len(b"id: 2"), len(b"id: 2\n"), len(whole) - 2, len(whole) - 1):
        with scripted(end(thinking(1) + whole[:cut]), ends(thinking(2) + RESULT(3))) as (server, script):
            assert numbers_of(both, both.client(server.base_url)) == ["thinking", "thinking", "result"]
        assert script.after == [0, 1]


def test_what_a_server_repeats_is_dropped(both: Both) -> None:
    with scripted(sends(thinking(1, 2)), sends(thinking(1, 2, 3)), ends(thinking(1, 2, 3, 4) + RESULT(5))) as (
        server,
        script,
    ):
        assert numbers_of(both, both.client(server.base_url)) == ["thinking"] * 4 + ["result"]
    assert script.after == [0, 2, 3]


def test_a_gap_is_read_again(both: Both) -> None:
    with scripted(ends(thinking(1, 2, 4) + RESULT(5)), ends(thinking(3, 4) + RESULT(5))) as (server, script):
        assert numbers_of(both, both.client(server.base_url)) == ["thinking"] * 4 + ["result"]
    assert script.after == [0, 2]


@pytest.mark.usefixtures("briefly")
def test_a_gap_that_stays_is_an_error(both: Both) -> None:
    with scripted(ends(thinking(1, 2, 4) + RESULT(5)), ends(thinking(4) + RESULT(5))) as (server, script):
        stream = both.client(server.base_url).stream_task("x")
        seen: list[Any] = []
        with pytest.raises(errors.StreamInterruptedError, match="event 3 is missing") as caught:
            seen.extend(both.each(stream))
        assert len(seen) == 2
    assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", "2")
    assert script.after == [0, 2, 2]


@pytest.mark.usefixtures("briefly")
def test_a_stream_that_brings_nothing_new_is_given_up(both: Both) -> None:
    with (
        scripted(sends(thinking(1)), hangs_up) as (server, script),
        pytest.raises(errors.StreamInterruptedError) as caught,
    ):
        numbers_of(both, both.client(server.base_url, max_retries=0))
    assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", "1")
    assert caught.value.attempts == len(caught.value.history) == 1 + MAX_RECONNECTS
    assert script.after == [0] + [1] * MAX_RECONNECTS
    assert "stream_events(error.task_id, after=error.last_event_id)" in str(caught.value)
    assert script.cancels == 0, "it can be taken up again"


def test_progress_gives_all_reconnections_again(both: Both) -> None:
    each = [sends(thinking(number)) for number in range(1, 41)]
    start = time.monotonic()
    with scripted(*each, ends(RESULT(41))) as (server, script):
        assert len(numbers_of(both, both.client(server.base_url))) == 41
    assert script.after == list(range(41))
    assert time.monotonic() - start < 10, "the first reconnection after progress comes at once"


@pytest.mark.parametrize(
    ("status", "type", "expected"),
    [
        (404, "not_found_error", errors.NotFoundError),
        (401, "authentication_error", errors.AuthenticationError),
        (400, "invalid_request_error", errors.InvalidRequestError),
        (501, "not_implemented_error", errors.NotSupportedError),
    ],
)
def test_a_server_that_refuses_is_not_asked_again(both: Both, status: int, type: str, expected: Any) -> None:
    with scripted(sends(thinking(1)), refuses(status, type)) as (server, script), pytest.raises(expected) as caught:
        numbers_of(both, both.client(server.base_url))
    assert script.after == [0, 1]
    assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", "1")


def page(_: int) -> list[bytes]:
    return raw.answer(200, b"<html>Maintenance</html>", Content_Type="text/html")


def test_a_page_where_a_stream_was_is_passed_over(both: Both) -> None:
    with scripted(sends(thinking(1)), page, ends(RESULT(2))) as (server, script):
        assert numbers_of(both, both.client(server.base_url)) == ["thinking", "result"]
    assert script.after == [0, 1, 1]


def test_a_page_in_place_of_a_stream_is_an_error(both: Both) -> None:
    with scripted(page) as (server, script):
        with pytest.raises(errors.UnexpectedResponseError, match="Expected an event stream, got text/html") as caught:
            numbers_of(both, both.client(server.base_url))
        assert caught.value.task_id == "task_1"
    assert script.after == [0]
    assert script.cancels == 1


@pytest.mark.usefixtures("briefly")
def test_a_stream_that_never_opens_raises_what_the_server_said(both: Both) -> None:
    with (
        scripted(refuses(503, "overloaded_error")) as (server, script),
        pytest.raises(errors.OverloadedError) as caught,
    ):
        numbers_of(both, both.client(server.base_url, max_retries=0))
    assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", None)
    assert caught.value.attempts == 1 + MAX_RECONNECTS
    assert script.cancels == 1


def test_the_server_says_how_long_to_wait(both: Both) -> None:
    with scripted(sends(b"retry: 400\n\n" + thinking(1)), ends(RESULT(2))) as (server, _):
        start = time.monotonic()
        numbers_of(both, both.client(server.base_url))
        assert time.monotonic() - start >= 0.4


def test_retry_after_is_kept(both: Both) -> None:
    with scripted(sends(thinking(1)), refuses(503, "overloaded_error", Retry_After="0.4"), ends(RESULT(2))) as (
        server,
        _,
    ):
        start = time.monotonic()
        numbers_of(both, both.client(server.base_url, max_retries=0))
        assert time.monotonic() - start >= 0.4


def test_the_deadline_holds_while_it_reconnects(both: Both) -> None:
    with scripted(sends(thinking(1)), refuses(503, "overloaded_error", Retry_After="30")) as (server, script):
        client = both.client(server.base_url, max_retries=0, timeout=1)
        start = time.monotonic()
        with pytest.raises(errors.TimeoutError) as caught:
            numbers_of(both, client)
        assert time.monotonic() - start < 1.2
    assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", "1")
    assert script.cancels == 1


NOTICE = b'event: notice\ndata: {"type": "notice", "content": "Soon."}\n\n'


def test_an_event_without_a_number_passes(both: Both) -> None:
    with scripted(sends(thinking(1) + NOTICE + thinking(2)), ends(RESULT(3))) as (server, script):
        assert numbers_of(both, both.client(server.base_url)) == ["thinking", "notice", "thinking", "result"]
    assert script.after == [0, 2]


def test_a_stream_that_is_cut_after_an_event_without_a_number_cannot_go_on(both: Both) -> None:
    with (
        scripted(sends(thinking(1) + NOTICE), ends(RESULT(2))) as (server, script),
        pytest.raises(errors.StreamInterruptedError) as caught,
    ):
        numbers_of(both, both.client(server.base_url))
    assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", "1")
    assert script.after == [0]


@pytest.mark.parametrize("after", [3, "3"])
def test_events_from_another_process(both: Both, after: str | int) -> None:
    with scripted(sends(thinking(4)), ends(thinking(5) + RESULT(6))) as (server, script):
        stream = both.client(server.base_url).stream_events("task_1", after=after)
        assert (stream.task_id, stream.last_event_id) == ("task_1", "3")
        ids = [stream.last_event_id for _ in both.each(stream)]
    assert ids == ["4", "5", "6"]
    assert script.after == [3, 4]
    assert (script.submits, script.cancels) == (0, 0)


def test_leaving_what_another_process_runs_leaves_it_running(both: Both) -> None:
    with scripted(sends(thinking(1, 2))) as (server, script):
        for _ in both.each(both.client(server.base_url).stream_events("task_1")):
            break
    assert script.cancels == 0


def test_a_server_that_was_never_there_is_told_at_once(both: Both) -> None:
    with scripted(refuses(503, "overloaded_error")) as (server, script):
        client = both.client(server.base_url, max_retries=0)
        with pytest.raises(errors.OverloadedError) as caught:
            list(both.each(client.stream_events("task_1")))
    assert caught.value.task_id == "task_1"
    assert script.after == [0]


def already_over(last: bytes) -> Connection:
    """A task of two events: nothing follows the second."""
    return lambda after: raw.stream(*([thinking(1), last][after:]))


def test_after_the_last_event_there_is_nothing(both: Both) -> None:
    with scripted(already_over(RESULT(2))) as (server, script):
        client = both.client(server.base_url)
        assert list(both.each(client.stream_events("task_1", after=2))) == []
        assert script.after == [2, 1]
        assert [event["type"] for event in both.each(client.stream_events("task_1", after=1))] == ["result"]


def test_after_a_last_event_that_was_an_error_there_is_that_error(both: Both) -> None:
    failed = wire.event(2, "error", error={"type": "cost_exceeded_error", "message": "Spent."})
    with scripted(already_over(failed)) as (server, _), pytest.raises(errors.CostExceededError) as caught:
        list(both.each(both.client(server.base_url).stream_events("task_1", after=2)))
    assert caught.value.task_id == "task_1"


@pytest.mark.parametrize("after", [-1, True, 1.5, "x", "", "²", b"1", "9" * 19])
def test_after_must_be_the_id_of_an_event(both: Both, after: Any) -> None:
    with pytest.raises(errors.InvalidRequestError, match="must be an event ID") as caught:
        both.client("http://127.0.0.1:9").stream_events("task_1", after=after)
    assert caught.value.param == "after"


def test_a_handle_goes_on_after_an_event(both: Both) -> None:
    with scripted(ends(thinking(2) + RESULT(3))) as (server, script):
        handle = both.call(both.client(server.base_url).submit_task("x"))
        stream = handle.events(after=1)
        assert [event["type"] for event in both.each(stream)] == ["thinking", "result"]
        assert (stream.task_id, stream.last_event_id) == ("task_1", "3")
    assert script.after == [1]


def test_a_stream_knows_how_far_it_is(both: Both) -> None:
    with scripted(sends(thinking(1)), ends(thinking(2) + RESULT(3))) as (server, _):
        stream = both.client(server.base_url).stream_task("x")
        assert (stream.task_id, stream.last_event_id) == (None, None)
        assert [(stream.task_id, stream.last_event_id) for _ in both.each(stream)] == [
            ("task_1", "1"),
            ("task_1", "2"),
            ("task_1", "3"),
        ]


def test_an_event_that_is_too_large_is_an_error_and_not_asked_for_again(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claude_code_common.sse.EventDecoder.__init__.__defaults__", (1000,))
    with scripted(sends(thinking(1) + wire.event(2, "thinking", more="x" * 2000))) as (server, script):
        stream = both.client(server.base_url).stream_task("x")
        seen: list[Any] = []
        with pytest.raises(errors.StreamInterruptedError, match="1000 bytes") as caught:
            seen.extend(both.each(stream))
        assert len(seen) == 1
    assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", "1")
    assert script.after == [0]


@pytest.mark.usefixtures("briefly")
def test_waiting_for_the_end_outlasts_a_server_in_trouble(both: Both) -> None:
    trouble: list[Any] = [None, raw.answer(503, wire.error("overloaded_error")), None, raw.answer(502, b"Bad gateway")]
    answers = [*trouble, raw.answer(200, wire.task("running")), *trouble, raw.answer(200, wire.task())]

    def reply(request: raw.Request) -> Any:
        if request.method == "POST":
            return raw.answer(202, wire.task("pending"))
        return answers.pop(0)

    with raw.serve(raw.RawServer(reply)) as server:
        task = both.call(both.client(server.base_url, max_retries=0).execute_task("x"))
        assert task.status == "completed"
    assert [request.method for request in server.requests] == ["POST"] + ["GET"] * 10
