"""Finalizers and signal handlers may use a client in the middle of what its thread does: nothing waits for a lock."""

from __future__ import annotations

import gc
import threading
from contextlib import suppress
from typing import Any

import pytest
from support.clients.background_work import wait_for_background_work
from support.interruption import Interruption, steps_of
from support.servers import raw_http, responses
from support.stalls import in_time

from claude_code_client import ClaudeClient
from claude_code_client.errors import ClaudeAPIError, ClosedError

KEY = "sk-proj-test-key"


def answers(failures: int = 0) -> raw_http.Handler:
    left = failures

    def handle(_: raw_http.Request) -> Any:
        nonlocal left
        left -= 1
        return raw_http.response(500 if left >= 0 else 200, responses.task())

    return handle


@pytest.mark.slow
@pytest.mark.usefixtures("short_backoff")
@pytest.mark.parametrize("at_most", [40, pytest.param(3000, marks=pytest.mark.long)])
@pytest.mark.parametrize("way", ["direct", "proxy"])
@pytest.mark.parametrize("action", ["use", "close"])
def test_interrupted_anywhere(monkeypatch: pytest.MonkeyPatch, action: str, way: str, at_most: int) -> None:
    with raw_http.serve(raw_http.SocketServer(answers())) as server:
        base_url = server.base_url
        if way == "proxy":
            monkeypatch.setenv("ALL_PROXY", server.base_url.removesuffix("/v1"))
            base_url = "http://a.example/v1"

        def open_client() -> ClaudeClient:
            return ClaudeClient(KEY, base_url, max_retries=1, timeout=9, allow_insecure_http=True)

        client = open_client()
        budget = client.budget(9)
        budget.__enter__()

        def call() -> None:
            server.handle = answers(1)  # with a wait before the retry
            client.get_task("task_1")
            client.get_task("task_1")

        def interrupt() -> None:
            client.close() if action == "close" else client.get_task("task_1")

        for step in steps_of(call, at_most):
            with Interruption(step, interrupt).active(), suppress(ClaudeAPIError):
                call()
            if action == "close":
                client = open_client()
        assert client.get_task("task_1").id == "task_1"
        client.close()


@pytest.mark.slow
@pytest.mark.parametrize("action", ["read", "abort"])
def test_stream_used_while_its_client_closes(action: str) -> None:
    """By another thread, or by the collector."""

    def handle(request: raw_http.Request) -> Any:
        if request.path.endswith("/events"):
            return raw_http.event_stream(responses.event(1, "thinking"), end=False)
        return raw_http.response(202, responses.task("cancelled" if "cancel" in request.path else "pending"))

    step, is_interrupted = 0, True
    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        while is_interrupted:
            step += 2
            is_interrupted = False
            client = ClaudeClient(KEY, server.base_url, timeout=9)
            stream = client.stream_task("x")
            next(stream)

            def use(stream: Any = stream) -> None:
                nonlocal is_interrupted
                is_interrupted = True
                if action == "read":
                    with suppress(ClosedError):
                        next(stream)
                else:
                    stream._generator.close()  # as the collector does

            with Interruption(step, use, ("sync_stream", "sync_driver")).active():
                client.close()
    wait_for_background_work()
    assert step > 10


def half_read_stream(server: raw_http.SocketServer) -> ClaudeClient:
    """Leave a stream that has begun in a cycle."""
    client = ClaudeClient(KEY, server.base_url, timeout=9)
    stream = client.stream_task("x")
    next(stream)
    cycle: list[Any] = [stream]
    cycle.append(cycle)
    return client


def test_collected_stream_cancels_its_task_in_a_thread() -> None:
    """Whatever lock is held where the collector runs, and however slow the server is."""
    released = threading.Event()

    def handle(request: raw_http.Request) -> Any:
        if request.path.endswith("/events"):
            return raw_http.event_stream(responses.event(1, "thinking"), end=False)
        if request.path.endswith("/cancel"):
            released.wait(raw_http.TIMEOUT)
            return raw_http.response(200, responses.task("cancelled"))
        return raw_http.response(202, responses.task("pending"))

    gc.disable()
    try:
        with raw_http.serve(raw_http.SocketServer(handle)) as server:
            client = half_read_stream(server)
            # Thread.start waits for this lock, also in the new thread.
            with in_time(0.5), threading._active_limbo_lock:  # type: ignore[attr-defined]
                gc.collect()
            server.wait_until(lambda: any(request.path.endswith("/cancel") for request in server.requests))
            released.set()
            client.close()
            for thread in threading.enumerate():
                if thread.name.startswith("claude-code-client: "):
                    thread.join(raw_http.TIMEOUT)
    finally:
        gc.enable()
