"""Marked keys and prompts, which no log, error or traceback of a call may show, with every logger on DEBUG."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from claude_code_api.api.tasks import create_task, get_task
from claude_code_api.models import CreateTaskRequest
from support.canaries import (
    CONTEXT,
    HEADERS,
    KEY,
    MARK,
    PROMPT,
    SECRET,
    TURNS,
    chain,
    open_client,
    outcome,
    recorded_logs,
    shown,
    with_locals,
)
from support.clients.client_kinds import ClientKind
from support.interruption import signal_main_thread
from support.servers import raw_http, responses

from claude_code_client import AsyncClaudeClient, errors

CALLS: dict[str, Callable[[Any], Any]] = {
    "complete": lambda client: client.complete(PROMPT),
    "complete messages": lambda client: client.complete(messages=TURNS, stop=[PROMPT]),
    "stream_complete": lambda client: client.stream_complete(PROMPT),
    "execute_task": lambda client: client.execute_task(PROMPT, context=CONTEXT),
    "stream_task": lambda client: client.stream_task(PROMPT, context=CONTEXT),
    "execute_task, watched": lambda client: client.execute_task(PROMPT, context=CONTEXT, on_event=str),
    "stream_events": lambda client: client.stream_events("task_1"),
    "get_task": lambda client: client.get_task("task_1"),
    "cancel_task": lambda client: client.cancel_task("task_1"),
    "list_tasks": lambda client: client.list_tasks(),
}


@pytest.fixture(autouse=True)
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    with recorded_logs() as written:
        yield written


TASK = responses.task(description=PROMPT)


def good(request: raw_http.Request) -> Any:
    """Respond with success; like a real server, repeat the task's description."""
    match request.method, request.path:
        case "POST", "/v1/task":
            return raw_http.response(202, responses.task("pending", description=PROMPT))
        case "POST", "/v1/chat/completions/stream":
            delta = {"type": "text_delta", "text": "Hi"}
            done = {"type": "completion", "completion": responses.COMPLETION}
            return raw_http.event_stream(*(f"data: {json.dumps(event)}\n\n".encode() for event in (delta, done)))
        case "POST", "/v1/chat/completions":
            return raw_http.response(200, responses.COMPLETION)
        case "GET", "/v1/task/task_1/events":
            return raw_http.event_stream(responses.event(1, "thinking"), responses.result_event(2))
        case "GET", "/v1/task":
            return raw_http.response(200, {"data": [TASK], "next_cursor": None})
        case _:
            return raw_http.response(200, TASK)


def always(*pieces: bytes) -> raw_http.Handler:
    return lambda _: list(pieces)


def then(*ending: bytes) -> raw_http.Handler:
    """Respond to the submit, then send a stream that ends like this."""
    start = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

    def handle(request: raw_http.Request) -> Any:
        if request.path.endswith(("/events", "/stream")):
            return [start, *ending, b""]
        return good(request)

    return handle


def ended(status: str, **fields: Any) -> raw_http.Handler:
    return always(*raw_http.response(200, responses.task(status, description=PROMPT, **fields)))


def hang_up_within(handle: raw_http.Handler) -> raw_http.Handler:
    """Send the first half of each response."""

    def cut(request: raw_http.Request) -> Any:
        data = b"".join(handle(request) or ())
        yield data[: len(data) * 2 // 3]
        raise ConnectionAbortedError

    return cut


# FastAPI with pydantic 2 repeats the input in its complaints.
COMPLAINT = {"detail": [{"loc": ["body", "timeout"], "msg": "too small", "input": {"description": PROMPT, **CONTEXT}}]}
ECHO = {"error": {"type": "server_error", "message": f"No {KEY}"}, "headers": {"Authorization": f"Bearer {KEY}"}}
FAILURES: dict[str, tuple[raw_http.Handler, tuple[type[errors.ClaudeAPIError], ...]]] = {
    "hang up": (lambda _: None, (errors.APIConnectionError, errors.StreamInterruptedError)),
    "reset mid-body": (hang_up_within(good), (errors.APIConnectionError, errors.StreamInterruptedError)),
    "no HTTP": (always(b"SSH-2.0-OpenSSH\r\n\r\n"), (errors.APIConnectionError,)),
    "401": (
        always(*raw_http.response(401, responses.error("authentication_error"))),
        (errors.AuthenticationError,),
    ),
    "401 that repeats the key": (always(*raw_http.response(401, ECHO)), (errors.ServerError,)),
    "422 that repeats the request": (always(*raw_http.response(422, COMPLAINT)), (errors.InvalidRequestError,)),
    "500": (always(*raw_http.response(500, responses.error("server_error"))), (errors.ServerError,)),
    "500 that repeats the task": (always(*raw_http.response(500, TASK)), (errors.ServerError,)),
    "302": (always(*raw_http.response(302, Location="http://127.0.0.1:9/")), (errors.UnexpectedResponseError,)),
    "HTML": (
        always(*raw_http.response(200, f"<html>Bearer {KEY}".encode(), Content_Type="text/html")),
        (errors.UnexpectedResponseError, errors.StreamInterruptedError),
    ),
    "another shape": (
        always(
            *raw_http.response(
                200, {"task": {**TASK, "context": CONTEXT}, "messages": TURNS, "data": [{"prompt": PROMPT}]}
            )
        ),
        (errors.UnexpectedResponseError, errors.StreamInterruptedError),
    ),
    "broken JSON": (
        always(*raw_http.response(200, json.dumps(TASK).encode()[:-9])),
        (errors.UnexpectedResponseError, errors.StreamInterruptedError),
    ),
    "not gzip": (
        always(*raw_http.response(200, TASK, Content_Encoding="gzip")),
        (errors.UnexpectedResponseError, errors.StreamInterruptedError),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_successful_calls_leak_nothing(both: ClientKind, logs: io.StringIO, name: str) -> None:
    with raw_http.serve(raw_http.SocketServer(good)) as server:
        client = open_client(both, server.base_url)
        result = outcome(both, lambda: CALLS[name](client))
        both.call(client.close())
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert not isinstance(result, BaseException)
    assert MARK not in shown(result)
    assert "claude_code_client INFO" in logs.getvalue()
    assert MARK not in logs.getvalue()
    assert "Python is" not in logs.getvalue()


@pytest.mark.usefixtures("short_backoff")
@pytest.mark.parametrize("failure", FAILURES)
def test_failed_calls_leak_nothing(both: ClientKind, logs: io.StringIO, failure: str) -> None:
    handle, expected = FAILURES[failure]
    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        client = open_client(both, server.base_url)
        for name, call in CALLS.items():
            result = outcome(both, partial(call, client))
            assert isinstance(result, expected), (name, result)
            assert MARK not in shown(result), name
        both.call(client.close())
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert MARK not in logs.getvalue()


@pytest.mark.parametrize("retries", [0, 1])
def test_refused_calls_leak_nothing(
    both: ClientKind, logs: io.StringIO, retries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claude_code_client._policy.retry.BASE_DELAY", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = open_client(both, f"http://127.0.0.1:{port}", max_retries=retries)
    for name, call in CALLS.items():
        result = outcome(both, partial(call, client))
        assert isinstance(result, errors.APIConnectionError)
        assert result.attempts == retries + 1
        assert MARK not in shown(result), name
    assert MARK not in logs.getvalue()


@pytest.mark.parametrize("name", ["complete", "stream_complete", "execute_task", "stream_task", "get_task"])
def test_timed_out_calls_leak_nothing(
    both: ClientKind, logs: io.StringIO, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def late(request: raw_http.Request) -> Any:
        released.wait(raw_http.TIMEOUT)
        return None

    with raw_http.serve(raw_http.SocketServer(late)) as server:
        client = open_client(both, server.base_url, timeout=0.05)
        result = outcome(both, lambda: CALLS[name](client))
        released.set()
        both.call(client.close())
    assert isinstance(result, errors.TimeoutError)
    assert MARK not in shown(result)
    assert MARK not in logs.getvalue()


@pytest.mark.usefixtures("short_backoff")
@pytest.mark.parametrize(
    ("name", "handle", "expected"),
    [
        ("stream_task", then(b"5\r\ndata:"), errors.StreamInterruptedError),
        ("stream_task", then(b"0\r\n\r\n"), errors.StreamInterruptedError),
        ("stream_complete", then(b"0\r\n\r\n"), errors.StreamInterruptedError),
        (
            "stream_task",
            lambda r: (
                raw_http.event_stream(b'data: "%s"\n\n' % KEY.encode()) if r.path.endswith("/events") else good(r)
            ),
            errors.UnexpectedResponseError,
        ),
        (
            "stream_task",
            lambda r: (
                raw_http.event_stream(
                    responses.event(1, "error", error={"type": "cost_exceeded_error", "message": "Too dear."})
                )
                if r.path.endswith("/events")
                else good(r)
            ),
            errors.CostExceededError,
        ),
        ("execute_task", ended("cost_exceeded"), errors.CostExceededError),
        ("execute_task", ended("timeout", error={"type": "timeout_error", "message": "Late."}), errors.TimeoutError),
    ],
)
def test_ends_of_tasks_and_streams_leak_nothing(
    both: ClientKind, logs: io.StringIO, name: str, handle: raw_http.Handler, expected: type[errors.ClaudeAPIError]
) -> None:
    def hang_up_after(request: raw_http.Request) -> Any:
        pieces = list(handle(request) or ())
        yield from pieces
        if pieces[-1] == b"":
            raise ConnectionAbortedError

    with raw_http.serve(raw_http.SocketServer(hang_up_after)) as server:
        client = open_client(both, server.base_url)
        result = outcome(both, lambda: CALLS[name](client))
        both.call(client.close())
    assert type(result) is expected
    if name == "execute_task":
        assert result.task is not None
        assert result.task.usage.cost == 0.5
    assert MARK not in shown(result)
    assert MARK not in logs.getvalue()


@pytest.mark.slow
def test_timed_out_task_is_attached_without_its_description(
    both: ClientKind, logs: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = responses.task("running", description=PROMPT)

    def handle(request: raw_http.Request) -> Any:
        return raw_http.response(202 if request.method == "POST" else 200, running)

    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        client = open_client(both, server.base_url)
        result = outcome(both, lambda: client.execute_task(PROMPT, timeout=1.5))
        both.call(client.close())
    assert isinstance(result, errors.TimeoutError)
    assert result.task is not None
    assert (result.task_id, result.task.status, result.task.description) == ("task_1", "running", None)
    assert MARK not in shown(result)
    assert MARK not in logs.getvalue()


def test_generated_endpoints_do_not_leak_the_key(both: ClientKind, logs: io.StringIO) -> None:
    """Their frames belong to the caller and hold the request's body, but never the key."""
    for failure, (handle, _) in FAILURES.items():
        with raw_http.serve(raw_http.SocketServer(handle)) as server:
            api = open_client(both, server.base_url).api
            for call in (
                partial(both.endpoint(create_task), client=api, body=CreateTaskRequest(description="x")),
                partial(both.endpoint(get_task), "task_1", client=api),
            ):
                result = outcome(both, call)
                assert isinstance(result, errors.ClaudeAPIError)
                assert KEY not in shown(result), failure
                assert SECRET not in shown(result), failure
    assert MARK not in logs.getvalue()


def test_cancelled_call_leaks_nothing(logs: io.StringIO) -> None:
    """asyncio's TimeoutError refers to the CancelledError, and so to the frames of the call."""
    released = threading.Event()

    def late(request: raw_http.Request) -> Any:
        if not arrived.is_set():
            arrived.set()
            released.wait(raw_http.TIMEOUT)
        return None

    async def main(base_url: str, name: str) -> None:
        async with (
            AsyncClaudeClient(KEY, base_url, max_retries=0, headers=HEADERS) as client,
            asyncio.timeout(None) as limit,
        ):
            call = CALLS[name](client)
            waiting = asyncio.ensure_future(anext(call) if hasattr(call, "__anext__") else call)
            assert await asyncio.to_thread(arrived.wait, raw_http.TIMEOUT)
            limit.reschedule(asyncio.get_running_loop().time())
            await waiting

    for name in ("complete", "stream_complete", "execute_task", "stream_task"):
        arrived = threading.Event()
        released.clear()
        with raw_http.serve(raw_http.SocketServer(late)) as server:
            with pytest.raises(TimeoutError) as caught:
                asyncio.run(main(server.base_url, name))
            released.set()
        assert len(list(chain(caught.value))) > 1
        assert MARK not in shown(caught.value), name
    assert MARK not in logs.getvalue()


@pytest.mark.parametrize("name", ["complete", "stream_task"])
def test_keyboard_interrupt_leaks_nothing(both: ClientKind, logs: io.StringIO, name: str) -> None:
    released = threading.Event()

    def interrupt(request: raw_http.Request) -> Any:
        # What follows Ctrl-C is the call's own: it stops what it has begun.
        if len(server.requests) == 1:
            signal_main_thread(signal.SIGINT)
            released.wait(raw_http.TIMEOUT)
        return None

    with raw_http.serve(raw_http.SocketServer(interrupt)) as server:
        client = open_client(both, server.base_url)
        result = outcome(both, lambda: CALLS[name](client))
        released.set()
    assert isinstance(result, KeyboardInterrupt)
    assert MARK not in shown(result)
    assert MARK not in logs.getvalue()


def test_leaks_would_be_detected(both: ClientKind, logs: io.StringIO) -> None:
    """The checks above can fail."""
    names: dict[str, Any] = {}
    exec(compile("def call(convert, prompt):\n    convert(prompt)", "elsewhere.py", "exec"), names)
    error = outcome(both, lambda: names["call"](int, PROMPT))
    assert MARK in with_locals(error)
    assert MARK in shown(errors.ClaudeAPIError("x", body={"a": PROMPT}))
    assert MARK in shown(errors.ClaudeAPIError(PROMPT))
    logging.getLogger("httpcore.http11").debug("%s", PROMPT)
    assert MARK in logs.getvalue()
