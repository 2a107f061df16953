"""Connections of a client: each serves one request at a time, is kept open for the next, and expires when idle."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import attrs
import httpcore
import pytest
from claude_code_api.api.tasks import get_task as get_task_endpoint
from support.clients.client_kinds import KEY, ClientKind
from support.clients.concurrent_calls import call_concurrently, make_client
from support.servers import raw_http, responses

from claude_code_client import ClaudeClient
from claude_code_client._transport import idle_connections
from claude_code_client._transport.endpoints import SyncEndpoints
from claude_code_client._transport.failures import FAILURES
from claude_code_client._transport.idle_connections import KEEPALIVE_EXPIRY, IdleConnections

TOGETHER = 8


def respond(_: raw_http.Request) -> list[bytes]:
    return raw_http.response(200, responses.task())


def get_task(client: Any) -> Any:
    return client.get_task("task_1")


def test_calls_in_turn_share_a_connection(both: ClientKind) -> None:
    with raw_http.serve(raw_http.SocketServer(respond)) as server:
        client = both.client(server.base_url)
        for _ in range(5):
            both.call(get_task(client))
        assert server.connections == 1
        both.call(client.close())
        server.wait_until(lambda: not server.open)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_calls_at_a_time_have_their_own_connections_and_later_ones_reuse_the_last(kind: str) -> None:
    all_here = threading.Barrier(TOGETHER)

    def respond_together(request: raw_http.Request) -> list[bytes]:
        if len(server.requests) <= TOGETHER:
            all_here.wait(raw_http.TIMEOUT)
        return respond(request)

    with raw_http.serve(raw_http.SocketServer(respond_together)) as server:
        client = make_client(kind, server.base_url)
        ended = call_concurrently(client, [get_task] * TOGETHER, max_concurrency=TOGETHER)
        assert [end.error for end in ended] == [None] * TOGETHER
        assert server.connections == TOGETHER


def test_idle_connections_expire(both: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(idle_connections, "monotonic", clock)
    with raw_http.serve(raw_http.SocketServer(respond)) as server:
        client = both.client(server.base_url)
        both.call(get_task(client))
        clock.now += KEEPALIVE_EXPIRY - 1
        both.call(get_task(client))
        assert server.connections == 1
        clock.now += KEEPALIVE_EXPIRY + 1
        both.call(get_task(client))
        assert server.connections == 2
        server.wait_until(lambda: server.open == {1})


def test_closed_idle_connections_are_replaced_without_a_retry(both: ClientKind) -> None:
    def respond_and_close(request: raw_http.Request) -> Any:
        return raw_http.then_hang_up(respond(request))

    with raw_http.serve(raw_http.SocketServer(respond_and_close)) as server:
        client = both.client(server.base_url, max_retries=0)
        for number in range(3):
            both.call(get_task(client))
            server.wait_until(lambda: not server.open)
            assert server.connections == number + 1


def test_connection_that_ends_as_the_request_arrives_costs_no_backoff(
    both: ClientKind, caplog: pytest.LogCaptureFixture
) -> None:
    """The client cannot tell it from a connection that had ended before. For a new connection, it waits."""
    caplog.set_level(logging.INFO, "claude_code_client")

    def respond_once(request: raw_http.Request) -> Any:
        return respond(request) if request.connection in (0, 2) and len(server.requests) in (1, 4) else None

    with raw_http.serve(raw_http.SocketServer(respond_once)) as server:
        client = both.client(server.base_url)
        for _ in range(2):
            both.call(get_task(client))
    assert [request.connection for request in server.requests] == [0, 0, 1, 2]
    delays = [record.getMessage().split()[2] for record in caplog.records if "retrying in" in record.msg]
    assert len(delays) == 2
    assert delays[0] == "0.00"


def test_connection_that_has_ended_is_replaced_without_a_retry() -> None:
    """Nothing was sent on it, as a failed write shows; asyncio does not tell whether one has failed."""

    def handle(request: raw_http.Request) -> Any:
        completion = {"id": "msg_1", "content": "x", "model": "m", "cost": 0.25}
        return raw_http.response(200, responses.task() if request.method == "GET" else completion)

    with (
        raw_http.serve(raw_http.SocketServer(handle)) as server,
        ClaudeClient(KEY, server.base_url, max_retries=0) as client,
    ):
        get_task(client)
        with before_call("_send", lambda: reset_connections(server)):
            assert client.complete("x").content == "x"
    assert [(request.method, request.connection) for request in server.requests] == [("GET", 0), ("POST", 1)]


@pytest.mark.parametrize("surplus", [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"\r\n", b"x"], ids=repr)
def test_bytes_beyond_a_response_are_not_the_next_one(both: ClientKind, surplus: bytes) -> None:
    """A server or proxy that is out of step must not give one call the response of another."""

    def respond_with_surplus(request: raw_http.Request) -> list[bytes]:
        return [b"".join(raw_http.response(200, responses.task(id=request.path.rpartition("/")[2]))) + surplus]

    with raw_http.serve(raw_http.SocketServer(respond_with_surplus)) as server:
        client = both.client(server.base_url, max_retries=0)
        for name in ("task_1", "task_2"):
            assert both.call(client.get_task(name)).id == name
        assert [request.connection for request in server.requests] == [0, 1]


@contextmanager
def before_call(name: str, action: Callable[[], object]) -> Iterator[None]:
    """Run an action when a connection's method with this name is called first, as something outside might."""
    called: list[None] = []

    def trace(frame: FrameType, event: str, _: Any) -> None:
        if frame.f_code.co_name == name and "http_connection" in frame.f_code.co_filename and not called:
            called.append(None)
            action()

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
    assert called


def reset_connections(server: raw_http.SocketServer) -> None:
    for peer in server._sockets:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, raw_http._RESET)
        peer.shutdown(socket.SHUT_RDWR)
    server.wait_until(lambda: not server.open)


def direct(api: Any) -> Any:
    """Send a request that no generated endpoint sends."""
    if isinstance(api, SyncEndpoints):
        return api.get_httpx_client().get("/task/task_1")

    async def get() -> Any:
        return await api.get_async_httpx_client().get("/task/task_1")

    return get()


@pytest.mark.parametrize("way", ["methods", "api"])
def test_cookies_are_not_kept(both: ClientKind, way: str) -> None:
    def set_cookie(request: raw_http.Request) -> list[bytes]:
        return raw_http.response(200, responses.task(), Set_Cookie=f"c{len(server.requests)}=1; Path=/")

    with raw_http.serve(raw_http.SocketServer(set_cookie)) as server:
        client = both.client(server.base_url)
        api = client.api
        for _ in range(3):
            both.call(get_task(client) if way == "methods" else both.endpoint(get_task_endpoint)("task_1", client=api))
        assert [request.headers.get("cookie") for request in server.requests] == [None] * 3
        if way == "api":
            for _ in range(2):
                both.call(direct(api))
            assert "cookie" not in server.requests[-1].headers
            both.call(both.endpoint(get_task_endpoint)("task_1", client=api.with_cookies({"a": "b"})))
            assert server.requests[-1].headers["cookie"] == "a=b"


def test_another_origin_gets_a_connection_of_its_own(both: ClientKind) -> None:
    """Generated endpoints have an httpx client, which accepts any URL."""
    with (
        raw_http.serve(raw_http.SocketServer(respond)) as server,
        raw_http.serve(raw_http.SocketServer(respond)) as other,
    ):
        client = both.client(server.base_url)

        async def get(url: str) -> Any:
            return await client.api.get_async_httpx_client().get(url)

        for url in ("task/1", f"{other.base_url}/task/1", "task/1"):
            got = both.call(client.api.get_httpx_client().get(url) if both.kind == "sync" else get(url))
            assert got.status_code == 200
        assert (server.connections, other.connections) == (1, 1)
        other.wait_until(lambda: not other.open)
        assert "authorization" not in other.requests[0].headers


@attrs.define
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@attrs.frozen(eq=False)
class Idle:
    """A connection that is idle."""


def test_the_connection_used_last_is_taken_first_and_the_oldest_expires_first(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(idle_connections, "monotonic", clock)
    idle: IdleConnections[Idle] = IdleConnections()
    first, second, third = Idle(), Idle(), Idle()
    for connection in (first, second, third):
        idle.put(connection)
        clock.now += 10
    assert list(idle.take_expired()) == []
    clock.now += KEEPALIVE_EXPIRY - 15
    assert list(idle.take_expired()) == [first, second]
    assert idle.take() is third
    assert idle.take() is None


def _exceptions(module: Any) -> dict[str, type[Exception]]:
    found = {name: getattr(module, name) for name in module.__all__}
    return {name: value for name, value in found.items() if isinstance(value, type) and issubclass(value, Exception)}


@pytest.mark.parametrize("name", sorted(_exceptions(httpcore)))
def test_exceptions_of_httpcore_are_failures_of_an_attempt(name: str) -> None:
    assert issubclass(_exceptions(httpcore)[name], FAILURES)
