"""Connecting has one deadline: for the lookup of the name, and for all addresses together."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import trustme
from support.clients.client_kinds import ClientKind
from support.servers import raw_http, responses
from support.stalls import in_time

from claude_code_client.errors import APIConnectionError, ClosedError, TimeoutError

HOST = "many.example"
BOUND = 1.0
"""Seconds that a call may exceed its timeout by, on a busy machine."""


@pytest.fixture
def server() -> Iterator[raw_http.SocketServer]:
    with raw_http.serve(raw_http.SocketServer(lambda _: raw_http.response(200, responses.task()))) as server:
        yield server


@pytest.fixture
def dead() -> Iterator[Callable[[int, int], list[str]]]:
    """Addresses that answer nothing on a port: the queue of their listener is full."""
    if sys.platform != "linux":
        pytest.skip("macOS has one loopback address, and other rules for full queues")
    with ExitStack() as stack:

        def listen(count: int, port: int) -> list[str]:
            found = []
            for number in range(count):
                listener = stack.enter_context(socket.socket())
                listener.bind((f"127.0.0.{number + 2}", port))
                listener.listen(0)
                for _ in range(3):
                    filler = stack.enter_context(socket.socket())
                    filler.setblocking(False)
                    filler.connect_ex(listener.getsockname())
                found.append(listener.getsockname()[0])
            return found

        yield listen


def resolve_to(monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> None:
    """Have the resolver of the operating system know HOST."""
    getaddrinfo = socket.getaddrinfo

    def resolve(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if host not in (HOST, HOST.encode()):
            return getaddrinfo(host, port, *arguments, **options)
        if socket.AI_NUMERICHOST & (options.get("flags") or (arguments[3] if len(arguments) > 3 else 0)):
            raise socket.gaierror(socket.EAI_NONAME, "not an address")
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*kind, (address, int(port))) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def client_of_host(both: ClientKind, port: int = 9, **options: Any) -> Any:
    return both.client(f"http://{HOST}:{port}/v1", allow_insecure_http=True, **options)


@pytest.mark.slow
def test_dead_addresses_share_the_deadline(
    both: ClientKind, dead: Callable[[int, int], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    resolve_to(monkeypatch, dead(8, port))
    client = client_of_host(both, port, timeout=1, max_retries=0)
    with in_time(1), pytest.raises((TimeoutError, APIConnectionError)):
        both.call(client.get_task("task_1"))


def test_a_live_address_wins(
    both: ClientKind,
    server: raw_http.SocketServer,
    dead: Callable[[int, int], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = int(server.base_url.rpartition(":")[2].partition("/")[0])
    resolve_to(monkeypatch, ["127.0.0.9", *dead(1, port), "127.0.0.1"])
    client = client_of_host(both, port, timeout=9, max_retries=0)
    with in_time(5):
        assert both.call(client.get_task("task_1")).id == "task_1"
    both.call(client.close())


def test_refused_addresses_say_so(both: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, ["127.0.0.1", "127.0.0.1"])
    with pytest.raises(APIConnectionError, match="Cannot connect"):
        both.call(client_of_host(both, free_port(), max_retries=0).get_task("task_1"))


class Resolver:
    """Resolver that hangs until the end of the test."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.answer = threading.Event()
        self.questions = 0

    def getaddrinfo(self, host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if options.get("flags"):
            raise socket.gaierror(socket.EAI_NONAME, "not an address")
        self.questions += 1
        self.asked.set()
        self.answer.wait(raw_http.TIMEOUT)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver.getaddrinfo)
    yield resolver
    resolver.answer.set()


@pytest.mark.slow
def test_a_resolver_that_hangs(both: ClientKind, resolver: Resolver) -> None:
    client = client_of_host(both, timeout=0.5, max_retries=0)
    for _ in range(3):
        with in_time(0.5), pytest.raises((TimeoutError, APIConnectionError)):
            both.call(client.get_task("task_1"))
    # One thread is left behind, however many calls wait for the name.
    assert both.kind == "async" or resolver.questions == 1
    resolver.answer.set()


def test_certificate_error_is_not_retried(both: ClientKind) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with raw_http.serve(raw_http.SocketServer(lambda _: None, context)) as server:
        with pytest.raises(APIConnectionError, match="CERTIFICATE_VERIFY_FAILED") as caught:
            both.call(both.client(server.base_url).complete("x"))
        assert (caught.value.attempts, caught.value.outcome_unknown) == (1, False)
        assert (server.connections, server.requests) == (1, [])


def test_closing_while_the_resolver_hangs(resolver: Resolver) -> None:
    with_client = ClientKind("sync")
    client = client_of_host(with_client, timeout=9, max_retries=0)
    caught: list[BaseException] = []

    def call() -> None:
        try:
            client.get_task("task_1")
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert resolver.asked.wait(raw_http.TIMEOUT)
    client.close()
    thread.join(raw_http.TIMEOUT)
    assert [type(error) for error in caught] == [ClosedError]
