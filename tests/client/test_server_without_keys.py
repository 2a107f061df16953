"""Servers that do not know Idempotency-Key, such as the legacy service: no call runs twice there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from support.clients.background_work import wait_for_background_work
from support.clients.client_kinds import ClientKind
from support.servers import raw_http, responses

from claude_code_client.errors import ClaudeAPIError, ClosedError, NotSupportedError

TASK = {"task_id": "task_1", "status": "completed", "result": {"summary": "x"}, "usage": {"total_cost": 0.5}}
COMPLETION = {"id": "msg_1", "content": "x", "model": "m", "cost": 0.25}


class Legacy(raw_http.SocketServer):
    """The legacy service: bodies of its own, no keys, and few routes; counts what it runs."""

    def __init__(self) -> None:
        super().__init__(self._respond)
        self.runs = 0
        self.outcome = "500"
        self.running, self.over = Event(), Event()

    def _respond(self, request: raw_http.Request) -> Any:
        if request.method != "POST":
            return raw_http.response(404, {"detail": "Not Found"})
        if request.path.endswith("/cancel"):
            return raw_http.response(200, {"task_id": "task_1", "status": "cancelled"})
        self.runs += 1
        self.running.set()
        match self.outcome:
            case "cut":
                return None
            case "silence":
                self.over.wait(raw_http.TIMEOUT)
                return None
            case "200":
                return raw_http.response(200, TASK if request.path.endswith("/task") else COMPLETION)
            case "html":
                return raw_http.response(502, b"<html>Bad gateway</html>", Content_Type="text/html")
            case status:
                return raw_http.response(int(status), {"detail": "Task execution failed: it broke"})


@pytest.fixture
def legacy() -> Iterator[Legacy]:
    with raw_http.serve(Legacy()) as server:
        yield server
        server.over.set()


@pytest.fixture(autouse=True)
def quick(short_backoff: None) -> None: ...


CALLS: dict[str, Callable[[ClientKind, Any], Any]] = {
    "execute_task": lambda both, client: both.call(client.execute_task("x", timeout=1)),
    "submit_task": lambda both, client: both.call(client.submit_task("x", timeout=1)),
    "stream_task": lambda both, client: list(both.each(client.stream_task("x", timeout=1))),
    "complete": lambda both, client: both.call(client.complete("x", timeout=1)),
    "stream_complete": lambda both, client: list(both.each(client.stream_complete("x", timeout=1))),
}


@pytest.mark.parametrize("outcome", ["cut", "500", "502", "503", "504", "408", "html"])
@pytest.mark.parametrize("call", CALLS)
def test_failed_call_runs_once(both: ClientKind, legacy: Legacy, call: str, outcome: str) -> None:
    legacy.outcome = outcome
    with pytest.raises(ClaudeAPIError) as caught:
        CALLS[call](both, both.client(legacy.base_url))
    wait_for_background_work()
    assert legacy.runs == 1
    assert caught.value.outcome_unknown
    assert caught.value.attempts == 1


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_timeout_runs_once(both: ClientKind, legacy: Legacy, call: str) -> None:
    legacy.outcome = "silence"
    with pytest.raises(ClaudeAPIError):
        CALLS[call](both, both.client(legacy.base_url))
    legacy.over.set()
    wait_for_background_work()
    assert legacy.runs == 1


@pytest.mark.parametrize("call", CALLS)
def test_close_runs_once(both: ClientKind, legacy: Legacy, call: str) -> None:
    legacy.outcome = "silence"
    client = both.client(legacy.base_url)

    async def read(result: Any) -> None:
        if call.startswith("stream"):
            async for _ in result:
                pass
        else:
            await result

    async def coroutine() -> None:
        calling = asyncio.ensure_future(read(getattr(client, call)("x")))
        await asyncio.to_thread(legacy.running.wait, raw_http.TIMEOUT)
        await client.close()
        with pytest.raises(ClosedError):
            await calling

    def thread() -> None:
        def close() -> None:
            legacy.running.wait(raw_http.TIMEOUT)
            client.close()

        closing = threading.Thread(target=close)
        closing.start()
        with pytest.raises(ClosedError):
            list(getattr(client, call)("x"))  # a stream is read; a call returns nothing
        closing.join(raw_http.TIMEOUT)

    both.call((coroutine if both.kind == "async" else thread)())
    legacy.over.set()
    wait_for_background_work()
    assert legacy.runs == 1


def test_recovery_does_not_submit_again(both: ClientKind, legacy: Legacy, tmp_path: Path) -> None:
    legacy.outcome = "cut"
    client = both.client(legacy.base_url, journal=tmp_path / "journal")
    with pytest.raises(ClaudeAPIError):
        both.call(client.submit_task("x"))
    legacy.outcome = "200"
    with pytest.raises(NotSupportedError, match="second time"):
        both.call(both.client(legacy.base_url, journal=tmp_path / "journal").recover())
    assert legacy.runs == 1


def test_call_that_was_refused_is_repeated(both: ClientKind, legacy: Legacy) -> None:
    legacy.outcome = "429"
    with pytest.raises(ClaudeAPIError) as caught:
        both.call(both.client(legacy.base_url).complete("x"))
    assert caught.value.attempts == 4


@pytest.mark.parametrize("evidence", ["health", "error", "header"])
def test_server_that_keeps_the_contract_gets_a_call_again(both: ClientKind, evidence: str) -> None:
    """It is asked once for each client, and only before the first repetition."""

    def handle(request: raw_http.Request) -> Any:
        if request.path.endswith("/health"):
            return raw_http.response(200, responses.health()) if evidence == "health" else raw_http.response(404, b"")
        if "/usage" in request.path:
            return raw_http.response(404, responses.error("not_found_error"))
        if request.path.endswith("/task/task_1"):
            return raw_http.response(200, responses.task("completed"), Preference_Applied="wait=1")
        posts.append(request.headers["idempotency-key"])
        return None if len(posts) % 2 else raw_http.response(200, COMPLETION)

    posts: list[str] = []
    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        client = both.client(server.base_url)
        if evidence == "error":
            with pytest.raises(ClaudeAPIError):
                both.call(client.get_usage())
        if evidence == "header":
            both.call(client.get_task("task_1"))
        for _ in range(2):
            both.call(client.complete("x"))
    assert len(posts) == 4
    assert len(set(posts)) == 2
    assert sum(request.path.endswith("/health") for request in server.requests) == (evidence == "health")
