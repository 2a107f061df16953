"""Exceptions of other libraries become ClaudeAPIErrors; those of the caller's code pass, without frames of the call."""

from __future__ import annotations

import json
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from claude_code_api.api.tasks import get_task
from support.clients.client_kinds import ClientKind
from support.interruption import signal_main_thread
from support.servers import raw_http, responses

from claude_code_client import AsyncClaudeClient, errors

KEY = "sk-proj-CANARY-key"
PROMPT = "CANARY-prompt"
MARK = "CANARY"
NOWHERE = "http://127.0.0.1:9/v1"

CALLS: dict[str, Callable[[Any], Any]] = {
    "complete": lambda client: client.complete(PROMPT),
    "stream_complete": lambda client: client.stream_complete(PROMPT),
    "execute_task": lambda client: client.execute_task(PROMPT),
    "stream_task": lambda client: client.stream_task(PROMPT),
    "get_task": lambda client: client.get_task("task_1"),
}


class SoftTimeLimitExceeded(Exception):  # noqa: N818 (its name in Celery)
    """Exception that a task queue raises in its signal handler."""


def outcome(both: ClientKind, call: Callable[[], Any]) -> Any:
    try:
        result = both.call(call())
        is_stream = hasattr(result, "__next__") or hasattr(result, "__anext__")
        return list(both.each(result)) if is_stream else result
    except BaseException as error:
        return error


def reported(error: BaseException) -> str:
    """Return what a crash reporter shows of the exception: the variables of all frames but the tests' own."""
    parts = []
    current: BaseException | None = error
    while current is not None:
        frames = [
            (frame, line)
            for frame, line in traceback.walk_tb(current.__traceback__)
            if "/tests/" not in frame.f_code.co_filename
        ]
        parts += ["".join(traceback.StackSummary.extract(iter(frames), capture_locals=True).format()), repr(current)]
        current = current.__cause__ or current.__context__
    return "".join(parts)


@pytest.fixture
def interrupting() -> Iterator[Callable[[type[Exception]], None]]:
    """Have SIGUSR1 raise an exception of this type in the main thread."""
    before = signal.getsignal(signal.SIGUSR1)

    def install(kind: type[Exception]) -> None:
        def handle(_: int, __: FrameType | None) -> None:
            raise kind("time is up")

        signal.signal(signal.SIGUSR1, handle)

    yield install
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("kind", [SoftTimeLimitExceeded, TimeoutError])
@pytest.mark.parametrize("name", [*CALLS, "client.api"])
def test_an_exception_of_a_signal_handler_passes_without_the_key(
    both: ClientKind, interrupting: Callable[[type[Exception]], None], name: str, kind: type[Exception]
) -> None:
    """A builtin TimeoutError is the handler's too, not that of a socket."""
    interrupting(kind)
    released = threading.Event()

    def handle(_: raw_http.Request) -> Any:
        if len(server.requests) == 1:
            signal_main_thread(signal.SIGUSR1)
            released.wait(raw_http.TIMEOUT)
        return None

    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        client = both.client(server.base_url, api_key=KEY, max_retries=0)
        if name == "client.api":
            result = outcome(both, lambda: both.endpoint(get_task)("task_1", client=client.api))
        else:
            result = outcome(both, lambda: CALLS[name](client))
        released.set()
    assert KEY not in reported(result)
    assert name == "client.api" or MARK not in reported(result)
    if both.kind == "sync":  # asyncio keeps some of the exceptions that reach it
        assert type(result) is kind, result
        assert "handle" in "".join(traceback.format_tb(result.__traceback__))


def test_exceptions_of_callbacks_pass_with_their_frames(both: ClientKind) -> None:
    def handle(request: raw_http.Request) -> Any:
        if request.path.endswith("/events"):
            return raw_http.event_stream(responses.event(1, "thinking"), responses.result_event(2))
        return raw_http.response(202 if request.method == "POST" else 200, responses.task("pending"))

    full = queue.Queue[Any](1)
    full.put(0)

    def broken(_: Any) -> None:
        raise KeyError("mine")

    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        client = both.client(server.base_url, api_key=KEY)
        result = outcome(both, lambda: client.execute_task(PROMPT, on_event=broken))
        assert type(result) is KeyError
        assert "broken" in "".join(traceback.format_tb(result.__traceback__))
        assert MARK not in reported(result)
        # Functions without a frame of the caller's.
        assert isinstance(outcome(both, lambda: client.execute_task("x", on_event=full.put_nowait)), queue.Full)
        assert type(outcome(both, lambda: client.execute_task("x", on_event=int))) is TypeError
        both.call(client.close())


def test_what_is_thrown_into_a_stream_comes_out(both: ClientKind) -> None:
    def handle(_: raw_http.Request) -> Any:
        return raw_http.event_stream(responses.event(1, "thinking"), responses.result_event(2))

    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        client = both.client(server.base_url, api_key=KEY)
        for steps in (0, 1):
            stream = client.stream_events("task_1")
            for _ in range(steps):
                both.call(stream.send(None) if both.kind == "sync" else anext(stream))
            throw = stream.throw if both.kind == "sync" else stream.athrow
            assert type(outcome(both, partial(throw, KeyError("mine")))) is KeyError
        both.call(client.close())


ARGUMENTS: dict[str, Callable[[Any], Any]] = {
    "long id": lambda client: client.get_task("x" * 70_000),
    "long id of a stream": lambda client: client.stream_events("x" * 70_000),
    "long status": lambda client: client.list_tasks("x" * 70_000),
    "long artifact id": lambda client: client.download_artifact("task_1", "x" * 70_000, "here"),
    "id with a surrogate": lambda client: client.get_task("\ud800"),
    "number without a float": lambda client: client.execute_task("x", max_cost=10**400),
    "number without a text": lambda client: client.complete("x", max_tokens=10**5000),
    "timeout without a text": lambda client: client.complete("x", timeout=10**5000),
    "page size without a text": lambda client: client.list_tasks(page_size=10**5000),
    "budget without a float": lambda client: client.budget(10**400).__enter__(),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_odd_arguments_are_refused(both: ClientKind, name: str) -> None:
    result = outcome(both, lambda: ARGUMENTS[name](both.client(NOWHERE)))
    assert isinstance(result, errors.InvalidRequestError | errors.ConfigurationError), result
    assert result.param is not None


ODD_ANSWERS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "id with a surrogate": (lambda client: client.submit_task("x"), responses.task("running", id="\ud800")),
    "id that leads elsewhere": (lambda client: client.submit_task("x"), responses.task("running", id="..")),
    "long id": (lambda client: client.execute_task("x"), responses.task("running", id="x" * 70_000)),
    "cursor with a surrogate": (lambda client: client.list_tasks(), {"data": [], "next_cursor": "\ud800"}),
    "long cursor": (lambda client: client.list_tasks(), {"data": [], "next_cursor": "x" * 70_000}),
}


@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_odd_answers_are_typed(both: ClientKind, name: str) -> None:
    call, answer = ODD_ANSWERS[name]
    with raw_http.serve(raw_http.SocketServer(lambda _: raw_http.response(200, answer))) as server:
        client = both.client(server.base_url, max_retries=0, timeout=5)
        result = outcome(both, lambda: call(client))
        both.call(client.close())
    assert isinstance(result, errors.ClaudeAPIError), result
    assert "unexpected" not in str(result)


PROXIES = {
    "socks5://127.0.0.1:9": "socks",
    "http://127.0.0.1:99999": "NO_PROXY",
    "http://127.0.0.1:x": "NO_PROXY",
    "http://": "NO_PROXY",
    "gopher://127.0.0.1:9": "NO_PROXY",
}


@pytest.mark.parametrize("proxy", PROXIES)
def test_unusable_proxies(both: ClientKind, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)  # httpx[socks] may be there
    client = both.client("http://a.example/v1", allow_insecure_http=True, max_retries=0)
    with pytest.raises(errors.ConfigurationError, match=PROXIES[proxy]):
        both.call(client.get_task("task_1"))


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_unusable_certificates(
    both: ClientKind, content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from claude_code_client._transport import http_options

    http_options._tls_context.cache_clear()
    path = tmp_path / "certificates.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    client = both.client("https://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(errors.ConfigurationError, match="SSL_CERT_FILE"):
        both.call(client.get_task("task_1"))


def test_async_client_without_an_event_loop_of_asyncio() -> None:
    """As under trio, which drives a coroutine by itself."""
    client = AsyncClaudeClient(KEY, NOWHERE)
    for call in (
        client.get_task("task_1"),
        client.execute_task("x"),
        anext(client.stream_task("x")),
        anext(client.list_tasks()),
        client.close(),
    ):
        with pytest.raises(errors.ConfigurationError, match="asyncio"):
            call.__await__().send(None)


def test_damaged_journal_lines_are_skipped(both: ClientKind, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    body = {"description": "x"}
    lines = [
        {"key": "a", "body": {}, "timeout": 5},
        {"key": "b", "body": body, "timeout": [1]},
        {"key": "c", "body": body, "timeout": "soon"},
        {"key": "f", "body": body, "timeout": float("nan")},
        {"key": "g\n", "body": body, "timeout": 5},
        {"key": "good", "body": body, "timeout": 5},
        {"key": "good", "task_id": "\ud800"},
        {"key": "good", "task_id": "task_1"},
    ]
    journal = tmp_path / "journal"
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with raw_http.serve(raw_http.SocketServer(lambda _: raw_http.response(200, responses.task("running")))) as server:
        client = both.client(server.base_url, journal=journal)
        [handle] = both.call(client.recover())
        assert handle.id == "task_1"
        handle.detach()
        both.call(client.close())
    assert "damaged" in caplog.text


def test_a_bug_is_typed_and_says_where(both: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("h11.Request", int)
    with raw_http.serve(raw_http.SocketServer(lambda _: None)) as server:
        result = outcome(both, lambda: both.client(server.base_url).get_task("task_1"))
    monkeypatch.undo()
    assert type(result) is errors.ClaudeAPIError
    assert "TypeError" in str(result)
    assert "claude_code_client." in str(result)
    assert result.outcome_unknown
    assert MARK not in reported(result)
