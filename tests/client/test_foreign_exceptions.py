"""Exceptions that are not this library's: those of its machinery become typed, those of user code stay as they are."""

from __future__ import annotations

import gc
import signal
import threading
import traceback
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.servers import raw_http, responses

from claude_code_client import AsyncClaudeClient, ClaudeClient
from claude_code_client._transport import http_options
from claude_code_client.errors import ClaudeAPIError, ConfigurationError, InvalidRequestError

KEY = "sk-proj-CANARY-key"
PROMPT = "CANARY-prompt"
REMOTE = "https://claude-code.invalid/v1"


class TimeLimitError(Exception):
    """Exception of a time limit, such as Celery's."""


def consume(both: ClientKind, called: Any) -> None:
    list(both.each(both.call(called)))


def consume_sync(result: Any) -> None:
    if isinstance(result, Iterator):
        list(result)


@pytest.mark.parametrize("value", ["x" * 70_000, "\ud800", "a\x00b"], ids=["long", "surrogate", "null"])
@pytest.mark.parametrize(
    "call",
    [
        lambda client, value: client.get_task(value),
        lambda client, value: client.cancel_task(value),
        lambda client, value: client.stream_events(value),
        lambda client, value: client.download_artifact(value, "artifact_1", "unused"),
        lambda client, value: client.list_tasks(status=value),
        lambda client, value: client.complete(value, idempotency_key=value),
    ],
    ids=["get", "cancel", "events", "artifacts", "list", "complete"],
)
def test_unsendable_arguments(both: ClientKind, call: Callable[[Any, str], Any], value: str) -> None:
    with raw_http.serve(
        raw_http.SocketServer(lambda _: raw_http.response(404, responses.error("not_found")))
    ) as server:
        client = both.client(server.base_url, max_retries=0)
        with pytest.raises(ClaudeAPIError):
            consume(both, call(client, value))


def test_unsendable_id_says_what_to_do(both: ClientKind) -> None:
    client = both.client("http://127.0.0.1:9/v1")
    for task_id, message in (("x" * 70_000, "Check ids"), ("\ud800", "task_id must be a task ID")):
        with pytest.raises(InvalidRequestError, match=message):
            both.call(client.get_task(task_id))


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        ("socks5://127.0.0.1:9", r"httpx\[socks\]"),
        ("http://127.0.0.1:99999", "HTTPS_PROXY"),
        ("http://127.0.0.1:port", "HTTPS_PROXY"),
        ("ftp://127.0.0.1:9", "HTTPS_PROXY"),
        ("http://", "HTTPS_PROXY"),
        ("http://user:CANARY@127.0.0.1:0", "HTTPS_PROXY"),
    ],
)
def test_unusable_proxies(both: ClientKind, monkeypatch: pytest.MonkeyPatch, proxy: str, message: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    client = both.client(REMOTE, max_retries=0)
    with pytest.raises(ConfigurationError, match=message) as caught:
        both.call(client.get_task("task_1"))
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"no certificate"], ids=["missing", "damaged"])
def test_unusable_certificates(
    both: ClientKind, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "certificates.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    monkeypatch.setenv("NO_PROXY", "*")
    http_options._tls_context.cache_clear()
    try:
        client = both.client(REMOTE, max_retries=0)
        with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
            both.call(client.get_task("task_1"))
    finally:
        http_options._tls_context.cache_clear()


def test_another_kind_of_event_loop() -> None:
    """Another library's loop, such as trio's, runs coroutines as this test does."""
    client = AsyncClaudeClient(KEY, "http://127.0.0.1:9/v1")
    call = client.get_task("task_1")
    with pytest.raises(ConfigurationError, match="asyncio"):
        call.send(None)
    with pytest.raises(ConfigurationError, match="asyncio"):
        client.list_tasks().__anext__().send(None)


@pytest.mark.parametrize("name", ["get_task", "complete", "stream_complete", "execute_task", "stream_task"])
def test_exceptions_of_signal_handlers_leak_nothing(name: str) -> None:
    """In the sync client: the loop of the asynchronous one gets such an exception while it waits, not the call."""
    released = threading.Event()

    def limit(number: int, frame: types.FrameType | None) -> None:
        raise TimeLimitError

    def interrupt(request: raw_http.Request) -> Any:
        # What follows is the call's own: it stops what it has begun.
        if len(server.requests) == 1:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            released.wait(raw_http.TIMEOUT)
        return None

    before = signal.signal(signal.SIGUSR1, limit)
    try:
        with raw_http.serve(raw_http.SocketServer(interrupt)) as server:
            client = ClaudeClient(KEY, server.base_url, max_retries=0)
            with pytest.raises(TimeLimitError) as caught:
                consume_sync(getattr(client, name)(PROMPT))
            released.set()
            client.close()
    finally:
        signal.signal(signal.SIGUSR1, before)
    error = caught.value
    assert "limit" in [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]
    assert not leaks(error)


def leaks(error: BaseException) -> list[str]:
    """Canaries in the variables of frames of an exception, and of those that called them, but for the tests' own."""
    found: list[str] = []
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        current = todo.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        todo += [current.__cause__, current.__context__]
        for top, _ in traceback.walk_tb(current.__traceback__):
            frame: types.FrameType | None = top
            while frame is not None:
                if "claude_code_client" in frame.f_code.co_filename or "site-packages/http" in frame.f_code.co_filename:
                    found += [name for name, value in frame.f_locals.items() if "CANARY" in repr(value)]
                frame = frame.f_back
    gc.collect()
    return found


def test_exceptions_of_callbacks_keep_their_frames(both: ClientKind) -> None:
    def good(request: raw_http.Request) -> Any:
        if request.path.endswith("/events"):
            return raw_http.event_stream(responses.event(1, "thinking"), responses.result_event(2))
        return raw_http.response(202 if request.method == "POST" else 200, responses.task("pending"))

    def on_event(event: Any) -> None:
        event["missing"]

    with raw_http.serve(raw_http.SocketServer(good)) as server:
        client = both.client(server.base_url, api_key=KEY, max_retries=0)
        with pytest.raises(KeyError) as caught:
            both.call(client.execute_task(PROMPT, on_event=on_event))
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "on_event"
    assert not leaks(caught.value)


def test_exceptions_that_users_throw_into_streams(both: ClientKind) -> None:
    def good(_: raw_http.Request) -> Any:
        return raw_http.response(200, {"data": [responses.task()] * 2, "next_cursor": None})

    with raw_http.serve(raw_http.SocketServer(good)) as server:
        client = both.client(server.base_url, max_retries=0)
        for error in (KeyError("mine"), KeyError):
            tasks = client.list_tasks()
            step, throw = ("__next__", "throw") if both.kind == "sync" else ("__anext__", "athrow")
            both.call(getattr(tasks, step)())
            with pytest.raises(KeyError):
                both.call(getattr(tasks, throw)(error))


def test_wrong_signatures_are_type_errors(both: ClientKind) -> None:
    client = both.client("http://127.0.0.1:9/v1")
    with pytest.raises(TypeError):
        both.call(client.get_task())
    with pytest.raises(TypeError):
        both.call(client.get_task("task_1", colour="red"))
