"""Closing and cancelling leave no running task, no reservation and no journal entry behind."""

from __future__ import annotations

import asyncio
import copy
import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from support.clients.background_work import wait_for_background_work
from support.clients.client_kinds import KEY, ClientKind
from support.servers import raw_http, responses
from support.servers.scripted_stream import scripted_stream, send_then_stall, thinking_events

from claude_code_client import AsyncClaudeClient, ClaudeClient, ClosedError, UnexpectedResponseError
from claude_code_client._files.journal import Journal


@pytest.fixture
def over() -> Iterator[Event]:
    event = Event()
    yield event
    event.set()


def ended(both: ClientKind, call: Any, closable: Any, when: Any) -> BaseException:
    """Return how a call ends when its client or stream is closed from another thread once ``when()`` is true."""

    async def coroutine() -> BaseException:
        waiting = asyncio.ensure_future(call())
        await asyncio.to_thread(when)
        await asyncio.sleep(0.05)  # until it waits, which nothing tells
        await (closable.aclose() if hasattr(closable, "aclose") else closable.close())
        return await _outcome(waiting)

    def thread() -> BaseException:
        errors: list[BaseException] = []

        def run() -> None:
            try:
                call()
            except BaseException as error:
                errors.append(error)

        waiting = threading.Thread(target=run)
        waiting.start()
        when()
        time.sleep(0.05)
        closable.close()
        waiting.join(raw_http.TIMEOUT)
        return errors[0]

    error: BaseException = both.call(coroutine()) if both.kind == "async" else thread()
    return error


async def _outcome(waiting: asyncio.Future[Any]) -> BaseException:
    try:
        await waiting
    except BaseException as error:
        return error
    raise AssertionError


def busy(_: raw_http.Request) -> Any:
    return raw_http.response(503, responses.error("overloaded_error"), Retry_After="30")


@pytest.mark.parametrize("name", ["execute_task", "complete"])
def test_closed_during_a_retry_backoff(both: ClientKind, tmp_path: Path, name: str) -> None:
    def handle(request: raw_http.Request) -> Any:
        return busy(request) if request.method == "POST" else raw_http.response(200, MODELS)

    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        client = both.client(server.base_url, journal=tmp_path / "journal")
        with client.budget(5) as budget:
            error = ended(
                both,
                lambda: getattr(client, name)("x"),
                client,
                lambda: server.wait_until(lambda: any(request.method == "POST" for request in server.requests)),
            )
            assert isinstance(error, ClosedError)
            assert (error.outcome_unknown, budget.reserved, budget.spent) == (False, 0, 0)
    assert Journal(tmp_path / "journal").unfinished() == []


MODELS = {
    "data": [
        {
            "id": "m",
            "alias": None,
            "input_price": 1.0,
            "output_price": 5.0,
            "context_window": 1000,
            "max_output_tokens": 100,
            "default": True,
        }
    ]
}


@pytest.mark.parametrize("how", ["cancelled", "ended", "detached"])
def test_handle_left_after_its_client_was_closed(both: ClientKind, how: str) -> None:
    """Its task is cancelled all the same, and the exception of the body is the one that is raised."""

    def handle(request: raw_http.Request) -> Any:
        if request.path.endswith("/cancel"):
            return raw_http.response(200, responses.task("cancelled"))
        return raw_http.response(202, responses.task("completed" if how == "ended" else "pending"))

    async def coroutine() -> None:
        async with await client.submit_task("x") as submitted:
            if how == "detached":
                submitted.detach()
            await client.close()
            raise ZeroDivisionError

    def thread() -> None:
        with client.submit_task("x") as submitted:
            if how == "detached":
                submitted.detach()
            client.close()
            raise ZeroDivisionError

    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        client = both.client(server.base_url)
        with client.budget(5) as budget:
            with pytest.raises(ZeroDivisionError):
                both.call((coroutine if both.kind == "async" else thread)())
            assert (budget.reserved, budget.spent) == ((1, 0) if how == "detached" else (0, 0.5))
    cancels = [request for request in server.requests if request.path.endswith("/cancel")]
    assert len(cancels) == (how == "cancelled")


TEXT = b'event: text_delta\ndata: {"type": "text_delta", "text": "Py"}\n\n'


@pytest.mark.parametrize("closed", ["stream", "client", "copy"])
@pytest.mark.parametrize("sent", [(), (TEXT,)], ids=["before the head", "after text"])
def test_completion_stream_closed_elsewhere_stays_reserved(
    both: ClientKind, over: Event, closed: str, sent: tuple[bytes, ...]
) -> None:
    """The completion may have cost money, and nobody will learn how much."""

    def handle(request: raw_http.Request) -> Iterator[bytes]:
        if request.method == "GET":
            yield from raw_http.response(200, MODELS)
            return
        if sent:
            yield from raw_http.event_stream(*sent, end=False)
            stalls.set()
        over.wait(raw_http.TIMEOUT)
        raise raw_http.HangUp

    def requested() -> None:
        server.wait_until(lambda: any(request.method == "POST" for request in server.requests))
        assert not sent or stalls.wait(raw_http.TIMEOUT)

    stalls = Event()
    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        client = both.client(server.base_url)
        if closed == "copy":
            client = both.keep(copy.copy(client))
        with client.budget(5) as budget:
            stream = client.stream_complete("x")

            async def coroutine() -> None:
                async for _ in stream:
                    pass

            def thread() -> None:
                for _ in stream:
                    pass

            call = coroutine if both.kind == "async" else thread
            error = ended(both, call, stream if closed == "stream" else client, requested)
            over.set()
            assert isinstance(error, ClosedError)
            assert error.outcome_unknown
            assert budget.spent == 0 < budget.reserved


def test_closed_during_the_submit(both: ClientKind, over: Event) -> None:
    def handle(request: raw_http.Request) -> Any:
        if request.path.endswith("/health"):
            return raw_http.response(200, responses.health())
        if request.path.endswith("/cancel"):
            return raw_http.response(200, responses.task("cancelled"))
        if len(server.requests) == 1:
            over.wait(raw_http.TIMEOUT)
        return raw_http.response(202, responses.task("pending"))

    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        client = both.client(server.base_url)
        with client.budget(5) as budget:
            error = ended(
                both, lambda: client.execute_task("x"), client, lambda: server.wait_until(lambda: server.requests != [])
            )
            assert isinstance(error, ClosedError)
            assert error.outcome_unknown
            server.wait_until(lambda: server.requests[-1].path.endswith("/cancel"))
            over.set()
            wait_for_background_work()
            assert (budget.reserved, budget.spent) == (0, 0.5)
    keys = {request.headers["idempotency-key"] for request in server.requests if request.path == "/v1/task"}
    assert len(keys) == 1


def test_cancelled_again_during_cleanup(over: Event) -> None:
    with scripted_stream(send_then_stall(thinking_events(1), until=over)) as (server, script):
        handle = server.handle

        def slow(request: raw_http.Request) -> Any:
            if request.path.endswith("/cancel"):
                cancelling.set()
                again.wait(raw_http.TIMEOUT)
            return handle(request)

        server.handle = slow
        cancelling, again = Event(), Event()

        async def main() -> None:
            async with AsyncClaudeClient(KEY, server.base_url) as client:
                with client.budget(5) as budget:
                    call = asyncio.ensure_future(client.execute_task("x", on_event=lambda _: seen.set()))
                    await asyncio.to_thread(seen.wait, raw_http.TIMEOUT)
                    call.cancel()
                    await asyncio.to_thread(cancelling.wait, raw_http.TIMEOUT)
                    call.cancel()
                    await asyncio.sleep(0)
                    again.set()
                    assert isinstance(await _outcome(call), asyncio.CancelledError)
                    assert (budget.reserved, budget.spent) == (0, 0.5)

        seen = Event()
        asyncio.run(main())
        assert script.cancels == 1
        over.set()


def test_async_stream_in_a_reference_cycle_ends_with_its_client(over: Event) -> None:
    async def main() -> None:
        async with AsyncClaudeClient(KEY, server.base_url) as client:
            stream = client.stream_task("x")
            await anext(stream)
            cycle: list[Any] = [stream]
            cycle.append(cycle)
            del stream, cycle
            gc.collect()
            await asyncio.to_thread(server.wait_until, lambda: script.cancels == 1)

    with scripted_stream(send_then_stall(thinking_events(1), until=over)) as (server, script):
        asyncio.run(main())
        over.set()


def test_consumer_meets_a_close_in_progress(both: ClientKind, over: Event) -> None:
    with scripted_stream(send_then_stall(thinking_events(1), until=over)) as (server, _):
        handle, cancelling = server.handle, Event()

        def slow(request: raw_http.Request) -> Any:
            if request.path.endswith("/cancel"):
                cancelling.set()
                over.wait(1)
            return handle(request)

        server.handle = slow
        client = both.client(server.base_url)
        stream = client.stream_task("x")

        async def coroutine() -> None:
            await anext(stream)
            closing = asyncio.ensure_future(stream.aclose())
            await asyncio.to_thread(cancelling.wait, raw_http.TIMEOUT)
            with pytest.raises(ClosedError):
                await anext(stream)
            over.set()
            await closing

        if both.kind == "async":
            both.call(coroutine())
        else:
            next(stream)
            closing = threading.Thread(target=stream.close)
            closing.start()
            assert cancelling.wait(raw_http.TIMEOUT)
            with pytest.raises(ClosedError):
                next(stream)
            over.set()
            closing.join(raw_http.TIMEOUT)


def test_generated_client_fetched_before_the_close_sends_nothing_after(over: Event) -> None:
    with scripted_stream(send_then_stall(until=over)) as (server, _):
        client = ClaudeClient(KEY, server.base_url)
        http = client.api.get_httpx_client()
        client.close()
        with pytest.raises(ClosedError):
            http.get("/health")
    assert server.requests == []


@pytest.mark.slow
def test_received_result_survives_the_deadline(both: ClientKind, over: Event) -> None:
    def handle(request: raw_http.Request) -> Any:
        if request.method == "POST":
            return raw_http.response(202, responses.task("pending"))
        if request.path.endswith("/events"):
            return raw_http.event_stream(thinking_events(1), responses.result_event(2))
        over.wait(raw_http.TIMEOUT)
        return None

    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        task = both.call(both.client(server.base_url).execute_task("x", timeout=2, on_event=str))
        over.set()
    assert (task.status, task.result["summary"]) == ("completed", "3 files.")


def test_result_without_cost_is_settled_from_the_task(both: ClientKind) -> None:
    bare = responses.event(1, "result", status="completed")

    def handle(request: raw_http.Request) -> Any:
        if request.path.endswith("/events"):
            return raw_http.event_stream(bare)
        return raw_http.response(200 if request.method == "GET" else 202, responses.task("completed", id="task_1"))

    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        client = both.client(server.base_url)
        with client.budget(5) as budget:
            assert both.call(client.execute_task("x", on_event=str)).status == "completed"
            assert (budget.reserved, budget.spent) == (0, 0.5)


def test_closed_while_a_failed_task_is_cancelled() -> None:
    refused = Event()

    def handle(request: raw_http.Request) -> Any:
        if request.path.endswith("/cancel"):
            if refused.is_set():
                return raw_http.response(200, responses.task("cancelled"))
            refused.set()
            return raw_http.response(503, responses.error("overloaded_error"), Retry_After="0.5")
        if request.method == "POST":
            return raw_http.response(202, responses.task("pending"))
        return raw_http.response(200, b"<html>", Content_Type="text/html")

    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        client, errors = ClaudeClient(KEY, server.base_url), list[BaseException]()

        def run() -> None:
            try:
                list(client.stream_task("x"))
            except BaseException as error:
                errors.append(error)

        waiting = threading.Thread(target=run)
        waiting.start()
        assert refused.wait(raw_http.TIMEOUT)
        client.close()
        waiting.join(raw_http.TIMEOUT)
        assert isinstance(errors[0], UnexpectedResponseError)
        server.wait_until(lambda: sum(request.path.endswith("/cancel") for request in server.requests) == 2)


@pytest.mark.slow
def test_cancel_without_time_left_is_sent_in_the_background(both: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claude_code_client._operations.task_deadlines.CANCEL_TIMEOUT", 10.0)

    def handle(request: raw_http.Request) -> Any:
        if request.path.endswith("/cancel"):
            cancels.append(request)
            if len(cancels) == 1:
                time.sleep(0.3)  # longer than a call of one second may be late
                return None
            return raw_http.response(200, responses.task("cancelled"))
        if request.method == "POST":
            return raw_http.response(202, responses.task("pending"))
        time.sleep(0.1)
        return raw_http.response(200, responses.task("running"))

    cancels: list[raw_http.Request] = []
    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        with pytest.raises(TimeoutError):
            both.call(both.client(server.base_url).execute_task("x", timeout=1))
        server.wait_until(lambda: len(cancels) == 2)
