"""Resumed streams: every event once and in order, never a silent end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.servers import raw_http, responses
from support.servers.scripted_stream import (
    Connection,
    hang_up,
    respond_with_error,
    scripted_stream,
    send_then_cut,
    send_then_end,
    thinking_events,
)
from support.stalls import in_time

from claude_code_client import errors
from claude_code_client._policy.reconnect import MAX_RECONNECTS

RESULT = responses.result_event


def numbers_of(both: ClientKind, client: Any) -> list[str]:
    """Stream a task; return the types of its events in order."""
    return [event["type"] for event in both.each(client.stream_task("x"))]


@pytest.mark.usefixtures("short_backoff")
def test_cut_stream_resumes_after_its_last_event(both: ClientKind) -> None:
    with scripted_stream(
        send_then_cut(thinking_events(1, 2)),
        send_then_end(thinking_events(3)),
        hang_up,
        respond_with_error(503, "overloaded_error"),
        send_then_cut(thinking_events(4) + responses.event(5, "thinking")[:-1]),
        respond_with_error(500),
        send_then_end(thinking_events(5) + RESULT(6)),
    ) as (server, script):
        client = both.client(server.base_url, max_retries=0)
        assert numbers_of(both, client) == ["thinking"] * 5 + ["result"]
    assert script.after == [0, 2, 3, 3, 3, 4, 4]
    assert (script.submits, script.cancels) == (1, 0)


@pytest.mark.parametrize("end", [send_then_cut, send_then_end])
def test_partial_event_is_requested_again(both: ClientKind, end: Callable[..., Connection]) -> None:
    whole = responses.event(2, "thinking")
    for cut in (1, len(b"id: 2"), len(b"id: 2\n"), len(whole) - 2, len(whole) - 1):
        with scripted_stream(end(thinking_events(1) + whole[:cut]), send_then_end(thinking_events(2) + RESULT(3))) as (
            server,
            script,
        ):
            assert numbers_of(both, both.client(server.base_url)) == ["thinking", "thinking", "result"]
        assert script.after == [0, 1]


def test_duplicate_events_are_dropped(both: ClientKind) -> None:
    with scripted_stream(
        send_then_cut(thinking_events(1, 2)),
        send_then_cut(thinking_events(1, 2, 3)),
        send_then_end(thinking_events(1, 2, 3, 4) + RESULT(5)),
    ) as (
        server,
        script,
    ):
        assert numbers_of(both, both.client(server.base_url)) == ["thinking"] * 4 + ["result"]
    assert script.after == [0, 2, 3]


def test_gap_is_requested_again(both: ClientKind) -> None:
    with scripted_stream(
        send_then_end(thinking_events(1, 2, 4) + RESULT(5)), send_then_end(thinking_events(3, 4) + RESULT(5))
    ) as (server, script):
        assert numbers_of(both, both.client(server.base_url)) == ["thinking"] * 4 + ["result"]
    assert script.after == [0, 2]


@pytest.mark.usefixtures("short_backoff")
def test_persistent_gap_raises(both: ClientKind) -> None:
    with scripted_stream(
        send_then_end(thinking_events(1, 2, 4) + RESULT(5)), send_then_end(thinking_events(4) + RESULT(5))
    ) as (server, script):
        stream = both.client(server.base_url).stream_task("x")
        seen: list[Any] = []
        with pytest.raises(errors.StreamInterruptedError, match="event 3 is missing") as caught:
            seen.extend(both.each(stream))
        assert len(seen) == 2
    assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", "2")
    assert script.after == [0, 2, 2]


@pytest.mark.usefixtures("short_backoff")
def test_stream_without_progress_is_given_up(both: ClientKind) -> None:
    with (
        scripted_stream(send_then_cut(thinking_events(1)), hang_up) as (server, script),
        pytest.raises(errors.StreamInterruptedError) as caught,
    ):
        numbers_of(both, both.client(server.base_url, max_retries=0))
    assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", "1")
    assert caught.value.attempts == len(caught.value.history) == 1 + MAX_RECONNECTS
    assert script.after == [0] + [1] * MAX_RECONNECTS
    assert "stream_events(error.task_id, after=error.last_event_id)" in str(caught.value)
    assert script.cancels == 0, "it can be taken up again"


def test_progress_resets_the_reconnect_budget(both: ClientKind) -> None:
    each = [send_then_cut(thinking_events(number)) for number in range(1, 41)]
    # The first reconnection after progress comes at once.
    with scripted_stream(*each, send_then_end(RESULT(41))) as (server, script), in_time(10):
        assert len(numbers_of(both, both.client(server.base_url))) == 41
    assert script.after == list(range(41))


@pytest.mark.parametrize(
    ("status", "type", "expected"),
    [
        (404, "not_found_error", errors.NotFoundError),
        (401, "authentication_error", errors.AuthenticationError),
        (400, "invalid_request_error", errors.InvalidRequestError),
        (501, "not_implemented_error", errors.NotSupportedError),
    ],
)
def test_refusal_is_not_retried(both: ClientKind, status: int, type: str, expected: Any) -> None:
    with (
        scripted_stream(send_then_cut(thinking_events(1)), respond_with_error(status, type)) as (server, script),
        pytest.raises(expected) as caught,
    ):
        numbers_of(both, both.client(server.base_url))
    assert script.after == [0, 1]
    assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", "1")


def page(_: int) -> list[bytes]:
    return raw_http.response(200, b"<html>Maintenance</html>", Content_Type="text/html")


def test_html_page_during_a_reconnect_is_retried(both: ClientKind) -> None:
    with scripted_stream(send_then_cut(thinking_events(1)), page, send_then_end(RESULT(2))) as (server, script):
        assert numbers_of(both, both.client(server.base_url)) == ["thinking", "result"]
    assert script.after == [0, 1, 1]


def test_html_page_instead_of_a_stream_raises(both: ClientKind) -> None:
    with scripted_stream(page) as (server, script):
        with pytest.raises(errors.UnexpectedResponseError, match="Expected an event stream, got text/html") as caught:
            numbers_of(both, both.client(server.base_url))
        assert caught.value.task_id == "task_1"
    assert script.after == [0]
    assert script.cancels == 1


@pytest.mark.usefixtures("short_backoff")
def test_stream_that_never_opens_raises_the_servers_error(both: ClientKind) -> None:
    with (
        scripted_stream(respond_with_error(503, "overloaded_error")) as (server, script),
        pytest.raises(errors.OverloadedError) as caught,
    ):
        numbers_of(both, both.client(server.base_url, max_retries=0))
    assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", None)
    assert caught.value.attempts == 1 + MAX_RECONNECTS
    assert script.cancels == 1


def test_retry_field_sets_the_backoff(both: ClientKind) -> None:
    with scripted_stream(send_then_cut(b"retry: 400\n\n" + thinking_events(1)), send_then_end(RESULT(2))) as (
        server,
        _,
    ):
        start = time.monotonic()
        numbers_of(both, both.client(server.base_url))
        assert time.monotonic() - start >= 0.4


def test_retry_after_is_honoured(both: ClientKind) -> None:
    with scripted_stream(
        send_then_cut(thinking_events(1)),
        respond_with_error(503, "overloaded_error", Retry_After="0.4"),
        send_then_end(RESULT(2)),
    ) as (
        server,
        _,
    ):
        start = time.monotonic()
        numbers_of(both, both.client(server.base_url, max_retries=0))
        assert time.monotonic() - start >= 0.4


@pytest.mark.slow
def test_deadline_holds_during_reconnects(both: ClientKind) -> None:
    with scripted_stream(
        send_then_cut(thinking_events(1)), respond_with_error(503, "overloaded_error", Retry_After="30")
    ) as (server, script):
        client = both.client(server.base_url, max_retries=0, timeout=2)
        with in_time(2.2), pytest.raises(errors.TimeoutError) as caught:
            numbers_of(both, client)
    assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", "1")
    assert script.cancels == 1


NOTICE = b'event: notice\ndata: {"type": "notice", "content": "Soon."}\n\n'


def test_event_without_an_id_is_passed_on(both: ClientKind) -> None:
    with scripted_stream(send_then_cut(thinking_events(1) + NOTICE + thinking_events(2)), send_then_end(RESULT(3))) as (
        server,
        script,
    ):
        assert numbers_of(both, both.client(server.base_url)) == ["thinking", "notice", "thinking", "result"]
    assert script.after == [0, 2]


def test_stream_cut_after_an_event_without_an_id_cannot_resume(both: ClientKind) -> None:
    with (
        scripted_stream(send_then_cut(thinking_events(1) + NOTICE), send_then_end(RESULT(2))) as (server, script),
        pytest.raises(errors.StreamInterruptedError) as caught,
    ):
        numbers_of(both, both.client(server.base_url))
    assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", "1")
    assert script.after == [0]


@pytest.mark.parametrize("after", [3, "3"])
def test_stream_events_resumes_the_task_of_another_process(both: ClientKind, after: str | int) -> None:
    with scripted_stream(send_then_cut(thinking_events(4)), send_then_end(thinking_events(5) + RESULT(6))) as (
        server,
        script,
    ):
        stream = both.client(server.base_url).stream_events("task_1", after=after)
        assert (stream.task_id, stream.last_event_id) == ("task_1", "3")
        ids = [stream.last_event_id for _ in both.each(stream)]
    assert ids == ["4", "5", "6"]
    assert script.after == [3, 4]
    assert (script.submits, script.cancels) == (0, 0)


def test_abandoning_stream_events_keeps_the_task_running(both: ClientKind) -> None:
    with scripted_stream(send_then_cut(thinking_events(1, 2))) as (server, script):
        for _ in both.each(both.client(server.base_url).stream_events("task_1")):
            break
    assert script.cancels == 0


def test_server_unavailable_from_the_start_raises_at_once(both: ClientKind) -> None:
    with scripted_stream(respond_with_error(503, "overloaded_error")) as (server, script):
        client = both.client(server.base_url, max_retries=0)
        with pytest.raises(errors.OverloadedError) as caught:
            list(both.each(client.stream_events("task_1")))
    assert caught.value.task_id == "task_1"
    assert script.after == [0]


def already_over(last: bytes) -> Connection:
    """Serve a task that has ended after two events."""
    return lambda after: raw_http.event_stream(*([thinking_events(1), last][after:]))


def test_resuming_after_the_terminal_event_returns_nothing(both: ClientKind) -> None:
    with scripted_stream(already_over(RESULT(2))) as (server, script):
        client = both.client(server.base_url)
        assert list(both.each(client.stream_events("task_1", after=2))) == []
        assert script.after == [2, 1]
        assert [event["type"] for event in both.each(client.stream_events("task_1", after=1))] == ["result"]


def test_no_content_means_that_the_last_event_received_was_the_terminal_one(both: ClientKind) -> None:
    def ended(after: int) -> Iterable[bytes] | None:
        return raw_http.response(204) if after == 2 else already_over(RESULT(2))(after)

    with scripted_stream(ended) as (server, script):
        client = both.client(server.base_url)
        assert list(both.each(client.stream_events("task_1", after=2))) == []
        assert script.after == [2, 1]


def test_no_content_without_a_terminal_event_raises(both: ClientKind, short_backoff: None) -> None:
    with scripted_stream(lambda _: raw_http.response(204)) as (server, _):
        client = both.client(server.base_url)
        with pytest.raises(errors.StreamInterruptedError, match="no further events"):
            list(both.each(client.stream_events("task_1", after=2)))
        with pytest.raises(errors.UnexpectedResponseError):
            list(both.each(client.stream_events("task_1")))


def test_resuming_after_a_terminal_error_event_raises_it_again(both: ClientKind) -> None:
    failed = responses.event(2, "error", error={"type": "cost_exceeded_error", "message": "Spent."})
    with scripted_stream(already_over(failed)) as (server, _), pytest.raises(errors.CostExceededError) as caught:
        list(both.each(both.client(server.base_url).stream_events("task_1", after=2)))
    assert caught.value.task_id == "task_1"


@pytest.mark.parametrize("after", [-1, True, 1.5, "x", "", "²", b"1", "9" * 19])
def test_after_must_be_an_event_id(both: ClientKind, after: Any) -> None:
    with pytest.raises(errors.InvalidRequestError, match="must be an event ID") as caught:
        both.client("http://127.0.0.1:9").stream_events("task_1", after=after)
    assert caught.value.param == "after"


def test_handle_stream_resumes_after_an_event(both: ClientKind) -> None:
    with scripted_stream(send_then_end(thinking_events(2) + RESULT(3))) as (server, script):
        handle = both.call(both.client(server.base_url).submit_task("x"))
        stream = handle.events(after=1)
        assert [event["type"] for event in both.each(stream)] == ["thinking", "result"]
        assert (stream.task_id, stream.last_event_id) == ("task_1", "3")
    assert script.after == [1]


def test_stream_exposes_its_cursor(both: ClientKind) -> None:
    with scripted_stream(send_then_cut(thinking_events(1)), send_then_end(thinking_events(2) + RESULT(3))) as (
        server,
        _,
    ):
        stream = both.client(server.base_url).stream_task("x")
        assert (stream.task_id, stream.last_event_id) == (None, None)
        assert [(stream.task_id, stream.last_event_id) for _ in both.each(stream)] == [
            ("task_1", "1"),
            ("task_1", "2"),
            ("task_1", "3"),
        ]


def test_oversized_event_raises_and_is_not_requested_again(both: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claude_code_common.sse.EventDecoder.__init__.__defaults__", (1000,))
    with scripted_stream(send_then_cut(thinking_events(1) + responses.event(2, "thinking", more="x" * 2000))) as (
        server,
        script,
    ):
        stream = both.client(server.base_url).stream_task("x")
        seen: list[Any] = []
        with pytest.raises(errors.StreamInterruptedError, match="1000 bytes") as caught:
            seen.extend(both.each(stream))
        assert len(seen) == 1
    assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", "1")
    assert script.after == [0]


@pytest.mark.usefixtures("short_backoff")
def test_wait_survives_server_errors(both: ClientKind) -> None:
    trouble: list[Any] = [
        None,
        raw_http.response(503, responses.error("overloaded_error")),
        None,
        raw_http.response(502, b"Bad gateway"),
    ]
    scripted = [
        *trouble,
        raw_http.response(200, responses.task("running")),
        *trouble,
        raw_http.response(200, responses.task()),
    ]

    def reply(request: raw_http.Request) -> Any:
        if request.method == "POST":
            return raw_http.response(202, responses.task("pending"))
        return scripted.pop(0)

    with raw_http.serve(raw_http.SocketServer(reply)) as server:
        task = both.call(both.client(server.base_url, max_retries=0).execute_task("x"))
        assert task.status == "completed"
    assert [request.method for request in server.requests] == ["POST"] + ["GET"] * 10
