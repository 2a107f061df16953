"""Ctrl-C at any point, also while a call cleans up: tasks are cancelled and paid for, and no descriptor stays open."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from support.clients.background_work import wait_for_background_work
from support.interruption import Interruption, steps_of
from support.servers import raw_http, responses

from claude_code_client import AsyncClaudeClient, ClaudeClient

KEY = "sk-proj-test-key"
TASK = ("task_run", "task_tracker", "task_endpoints", "_wire/responses", "_wire/legacy")
TRANSPORT = ("sync_driver", "sync_response", "origin_transport", "attempts", "_sync/http11")
"""Parts of the names of modules. Those that keep accounts are left out: an interruption may leave them undecided."""
CONTENT = b"A report.\n"
ARTIFACT = {"id": "a", "path": "report.md", "size": len(CONTENT)}


def respond(request: raw_http.Request) -> Any:
    if request.path.endswith("/events"):
        return raw_http.event_stream(responses.event(1, "thinking"), end=False)
    if request.path.endswith("/cancel"):
        return raw_http.response(200, responses.task("cancelled"))
    if request.path.endswith("/health"):
        return raw_http.response(200, responses.health())
    if request.method == "POST":
        return raw_http.response(202, responses.task("running"), Preference_Applied="respond-async")
    if "/artifacts/" in request.path:
        return raw_http.response(200, CONTENT, Content_Type="application/octet-stream")
    return raw_http.response(200, responses.task(artifacts=[ARTIFACT]))


def interrupt() -> None:
    raise KeyboardInterrupt


def close_stream(client: ClaudeClient) -> None:
    stream = client.stream_task("x")
    next(stream)
    stream.close()


def leave_handle(client: ClaudeClient) -> None:
    with client.submit_task("x"):
        pass


def execute(client: ClaudeClient) -> None:
    client.execute_task("x")


@pytest.mark.slow
@pytest.mark.parametrize("at_most", [25, pytest.param(10_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("call", [close_stream, leave_handle, execute])
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # an interrupted finalizer
def test_interrupted_task_is_cancelled_and_settled(call: Callable[[ClaudeClient], None], at_most: int) -> None:
    with raw_http.serve(raw_http.SocketServer(respond)) as server:

        def open_and_call() -> None:
            with ClaudeClient(KEY, server.base_url, timeout=9) as client:
                call(client)

        for step in steps_of(open_and_call, at_most, (*TASK, *TRANSPORT)):
            server.requests.clear()
            client = ClaudeClient(KEY, server.base_url, timeout=9)
            with client.budget(5) as budget:
                with suppress(KeyboardInterrupt), Interruption(step, interrupt, (*TASK, *TRANSPORT)).active():
                    call(client)
                wait_for_background_work()
                client.close()
            was_submitted = any(request.path.endswith("/task") for request in server.requests)
            was_ended = any(request.method == "GET" and request.path.endswith("task_1") for request in server.requests)
            assert was_submitted <= (was_ended or any("/cancel" in request.path for request in server.requests)), step
            assert (budget.reserved, budget.spent) == (0, 0.5 if was_submitted else 0), step


class _AfterCall:
    """Interrupts after the n-th call of a built-in function in a folder, where Python runs signal handlers."""

    def __init__(self, folder: str, left: int) -> None:
        self.calls = 0
        self._folder = folder
        self._left = left

    @contextmanager
    def active(self) -> Iterator[None]:
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(None)

    def _note(self, frame: Any, event: str, _: Any) -> None:
        if event == "c_return" and self._folder in frame.f_code.co_filename:
            self.calls += 1
            if self.calls == self._left:
                interrupt()


def open_journal(base_url: str, folder: Path) -> None:
    """Open a journal with a record to drop."""
    journal = folder / "journal"
    journal.write_bytes(b'{"key": "a", "body": {}}\n{"key": "b", "body": {}}\n{"key": "a", "done": true}\n')
    ClaudeClient(KEY, base_url, journal=journal).close()


def download(base_url: str, folder: Path) -> None:
    with ClaudeClient(KEY, base_url) as client:
        client.download_artifact("task_1", "a", to=folder / "report.md")


@pytest.mark.slow
@pytest.mark.parametrize("call", [open_journal, download])
def test_interrupted_file_work_leaves_no_descriptor(tmp_path: Path, call: Callable[[str, Path], None]) -> None:
    def descriptors() -> int:
        server.wait_until(lambda: not server.open)
        return len(list(Path("/dev/fd").iterdir()))

    with raw_http.serve(raw_http.SocketServer(respond)) as server:
        counting = _AfterCall("/_files/", 0)
        with counting.active():
            call(server.base_url, tmp_path)
        before = descriptors()
        for step in range(1, counting.calls + 1):
            with suppress(KeyboardInterrupt), _AfterCall("/_files/", step).active():
                call(server.base_url, tmp_path)
            assert descriptors() == before, step
    assert counting.calls > 10


@pytest.mark.slow
def test_interrupted_event_loop_reports_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The signal handler of asyncio.run() cancels what the main task waits for, even while it is just arriving."""
    with raw_http.serve(raw_http.SocketServer(respond)) as server:

        async def main() -> None:
            async with AsyncClaudeClient(KEY, server.base_url, timeout=9) as client:
                await client.get_task("task_1")

        for step in steps_of(lambda: asyncio.run(main()), 200, ("async_network",)):
            interruption = Interruption(step, lambda: signal.raise_signal(signal.SIGINT), ("async_network",))
            with suppress(KeyboardInterrupt), interruption.active():
                asyncio.run(main())
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
