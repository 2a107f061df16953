"""Stream timeouts: a silent connection and a stalled task are distinguished."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.servers import raw_http, responses
from support.servers.scripted_stream import (
    Connection,
    respond_with_error,
    scripted_stream,
    send_then_cut,
    send_then_end,
    send_then_stall,
    thinking_events,
)
from support.stalls import in_time

from claude_code_client import ConfigurationError, TaskStalledError, TimeoutError

PING = b": ping\n\n"


@pytest.fixture
def over() -> Iterator[Event]:
    """Event that ends the connections that stay open."""
    event = Event()
    yield event
    event.set()


def pings(over: Event, *events: bytes, every: float = 0.1, pings_between: int = 0, last: bytes = b"") -> Connection:
    """Send the events with pings between them, then ``last``; without ``last``, pings for ever."""

    def connection(after: int) -> Iterator[bytes]:
        def pieces() -> Iterator[bytes]:
            for event in events[after:]:
                yield event
                for _ in range(pings_between):
                    over.wait(every)
                    yield PING
            if last:
                yield last
                return
            while not over.wait(every):
                yield PING

        yield from raw_http.event_stream(end=False)
        for piece in pieces():
            yield b"%x\r\n%s\r\n" % (len(piece), piece)
        yield b"0\r\n\r\n"

    return connection


def start(kind: str, client: Any, **options: Any) -> Any:
    """Start a call of the given kind that streams a task."""
    match kind:
        case "stream_task":
            return client.stream_task("x", **options)
        case "execute_task":
            return client.execute_task("x", **options)
        case _:
            return client.stream_events("task_1", **options)


def run(both: ClientKind, started: Any) -> list[Any]:
    return [both.call(started)] if not hasattr(started, "last_event_id") else list(both.each(started))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stream_task", "execute_task", "stream_events"])
def test_pings_are_not_progress(both: ClientKind, over: Event, kind: str) -> None:
    with scripted_stream(pings(over, thinking_events(1))) as (server, script):
        client = both.client(server.base_url)
        began = time.monotonic()
        with in_time(2.2), pytest.raises(TaskStalledError, match="No event of the task arrived for 2 s") as caught:
            run(both, start(kind, client, stall_timeout=2))
        assert time.monotonic() - began >= 2
        over.set()
        server.wait_until(lambda: script.cancels == 1)
    assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", "1")
    assert script.after == [0]


@pytest.mark.slow
def test_stalled_task_is_cancelled_by_a_slow_server(both: ClientKind, over: Event) -> None:
    with scripted_stream(pings(over)) as (server, script):
        follow = server.handle

        def slow(request: raw_http.Request) -> Any:
            pieces = follow(request)
            if request.path.endswith("/cancel"):
                over.wait(raw_http.TIMEOUT)
            return pieces

        server.handle = slow
        with in_time(1.1), pytest.raises(TaskStalledError):
            list(both.each(both.client(server.base_url).stream_task("x", stall_timeout=1)))
        server.wait_until(lambda: script.cancels >= 1)
        over.set()


@pytest.mark.slow
def test_slow_events_are_progress(both: ClientKind, over: Event) -> None:
    events = [thinking_events(number) for number in range(1, 7)]
    with scripted_stream(pings(over, *events, every=0.2, pings_between=2, last=responses.result_event(7))) as (
        server,
        _,
    ):
        began = time.monotonic()
        assert len(list(both.each(both.client(server.base_url).stream_task("x", stall_timeout=2.2)))) == 7
        assert time.monotonic() - began > 2.2


@pytest.mark.slow
def test_time_in_the_loop_body_does_not_count(both: ClientKind, over: Event) -> None:
    with scripted_stream(pings(over, thinking_events(1), pings_between=24, last=responses.result_event(2))) as (
        server,
        _,
    ):
        for event in both.each(both.client(server.base_url).stream_task("x", stall_timeout=2)):
            over.wait(2.2 if event["type"] == "thinking" else 0)


def test_duplicate_events_are_not_progress(both: ClientKind, over: Event) -> None:
    def again_and_again(_: int) -> Iterator[bytes]:
        yield from raw_http.event_stream(end=False)
        while not over.wait(0.1):
            yield from (b"%x\r\n%s\r\n" % (len(thinking_events(1)), thinking_events(1)) for _ in range(2))

    with scripted_stream(again_and_again) as (server, _), pytest.raises(TaskStalledError):
        list(both.each(both.client(server.base_url).stream_task("x", stall_timeout=0.5)))


@pytest.mark.slow
def test_silence_adds_up_across_connections(both: ClientKind, over: Event) -> None:
    with scripted_stream(send_then_stall(until=over), send_then_stall(until=over), pings(over)) as (server, script):
        client = both.client(server.base_url, stream_read_timeout=0.4)
        with pytest.raises(TaskStalledError):
            list(both.each(client.stream_task("x", stall_timeout=2.5)))
        over.set()
    # A stall of the machine may silence the last connection too.
    assert len(script.after) >= 3
    assert set(script.after) == {0}


@pytest.mark.slow
def test_time_without_a_connection_does_not_count(both: ClientKind) -> None:
    busy = respond_with_error(503, "overloaded_error", Retry_After="2.2")
    with scripted_stream(send_then_cut(thinking_events(1)), busy, send_then_end(responses.result_event(2))) as (
        server,
        _,
    ):
        client = both.client(server.base_url, max_retries=0)
        assert len(list(both.each(client.stream_task("x", stall_timeout=2)))) == 2


def test_silence_reconnects(both: ClientKind, over: Event) -> None:
    with scripted_stream(
        send_then_stall(thinking_events(1), until=over),
        send_then_stall(thinking_events(2), until=over),
        send_then_end(responses.result_event(3)),
    ) as (
        server,
        script,
    ):
        client = both.client(server.base_url).with_options(stream_read_timeout=1)
        began = time.monotonic()
        with in_time(2 + 2):  # the last connection would be silent for a minute otherwise
            assert len(list(both.each(client.stream_task("x")))) == 3
        assert time.monotonic() - began >= 2
        over.set()
    assert script.after == [0, 1, 2]
    assert (script.submits, script.cancels) == (1, 0)


@pytest.mark.slow
def test_pings_keep_a_stream_alive(both: ClientKind, over: Event) -> None:
    with scripted_stream(pings(over, thinking_events(1), pings_between=22, last=responses.result_event(2))) as (
        server,
        script,
    ):
        client = both.client(server.base_url, stream_read_timeout=2)
        assert len(list(both.each(client.stream_task("x")))) == 2
    assert script.after == [0]


@pytest.mark.slow
def test_timeout_counts_despite_progress(both: ClientKind, over: Event) -> None:
    with scripted_stream(pings(over, thinking_events(1))) as (server, script):
        client = both.client(server.base_url)
        with in_time(2.2), pytest.raises(TimeoutError) as caught:
            list(both.each(client.stream_task("x", timeout=2, stall_timeout=10)))
    assert type(caught.value) is TimeoutError
    assert (caught.value.task_id, caught.value.last_event_id) == ("task_1", "1")
    assert script.cancels == 1


@pytest.mark.slow
def test_timeout_counts_from_the_first_step(both: ClientKind) -> None:
    """A stream can be made before it is needed, as the stream of a completion can."""
    with scripted_stream(send_then_end(thinking_events(1), responses.result_event(2))) as (server, _):
        client = both.client(server.base_url)
        streams = [
            client.stream_task("x", timeout=2),
            client.stream_events("task_1", timeout=2),
            both.call(client.submit_task("x")).events(timeout=2),
        ]
        time.sleep(2.2)
        for stream in streams:
            assert [event["type"] for event in both.each(stream)] == ["thinking", "result"]


@pytest.mark.slow
def test_timeouts_of_a_handle_apply_to_one_call(both: ClientKind) -> None:
    with scripted_stream(send_then_end(thinking_events(1), responses.result_event(2))) as (server, _):
        handle = both.call(both.client(server.base_url).submit_task("x"))
        stream = handle.events(timeout=20)
        events = both.each(stream)
        assert next(events)["type"] == "thinking"
        other = both.each(handle.events(timeout=2))
        assert next(other)["type"] == "thinking"
        time.sleep(2.2)
        assert [event["type"] for event in events] == ["result"]


@pytest.mark.slow
def test_handle_supports_stall_timeout(both: ClientKind, over: Event) -> None:
    with scripted_stream(pings(over, thinking_events(1))) as (server, _):
        handle = both.call(both.client(server.base_url).submit_task("x"))
        with pytest.raises(TaskStalledError):
            both.call(handle.wait(stall_timeout=0.3))
        other = both.call(both.client(server.base_url).submit_task("x"))
        with pytest.raises(TaskStalledError):
            list(both.each(other.events(stall_timeout=0.3)))


@pytest.mark.parametrize("seconds", [0, -1, True, "1", float("nan"), float("inf")])
def test_stall_timeout_must_be_a_number_of_seconds(both: ClientKind, seconds: Any) -> None:
    client = both.client("http://127.0.0.1:9")
    for kind in ("stream_task", "execute_task", "stream_events"):
        with pytest.raises(ConfigurationError, match="stall_timeout must be") as caught:
            both.call(start(kind, client, stall_timeout=seconds))
        assert caught.value.param == "stall_timeout"
    with pytest.raises(ConfigurationError, match="stream_read_timeout must be") as caught:
        both.client("http://127.0.0.1:9", stream_read_timeout=seconds)
    assert caught.value.param == "stream_read_timeout"


@pytest.mark.slow
def test_stall_timeout_applies_to_one_call(both: ClientKind, over: Event) -> None:
    with scripted_stream(pings(over, thinking_events(1))) as (server, script):
        handle = both.call(both.client(server.base_url).submit_task("x"))
        for _ in both.each(handle.events(stall_timeout=2)):
            handle.detach()
            break
        script.connections = [pings(over, thinking_events(1), pings_between=22, last=responses.result_event(2))]
        script.status = "completed"
        assert both.call(handle.wait(timeout=20, on_event=str)).status == "completed"
