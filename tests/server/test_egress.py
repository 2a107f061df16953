"""Proxy of sandboxed tasks to allowed hosts."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from claude_code_server.domain.host_pattern import HostPattern
from claude_code_server.engine.egress import EgressProxy

Ask = Callable[[str], Awaitable[bytes]]


@pytest.mark.parametrize(
    ("pattern", "allowed", "refused"),
    [
        (
            "example.com",
            ["example.com:80", "example.com:443"],
            ["example.com:22", "a.example.com:80", "aexample.com:80"],
        ),
        ("*.example.com", ["a.example.com:443", "a.b.example.com:80"], ["example.com:443", "badexample.com:443"]),
        ("Example.com.:8080", ["example.com:8080"], ["example.com:80"]),
        ("[::1]:9", ["::1:9"], ["::1:80"]),
    ],
)
def test_patterns(pattern: str, allowed: list[str], refused: list[str]) -> None:
    parsed = HostPattern.parse(pattern)
    for one in (*allowed, *refused):
        host, _, port = one.rpartition(":")
        assert parsed.matches(host, int(port)) is (one in allowed), one


@pytest.mark.parametrize("text", ["", "*", "a b", "http://x", "x/y", "x:0", "x:70000", "*x", "a*.b"])
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(ValueError, match="is not a host"):
        HostPattern.parse(text)


def run(allowed: list[str], talk: Callable[[Ask, int], Awaitable[None]]) -> None:
    """Run ``talk`` with a function that sends a request to the proxy, and with the port of a server behind it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = await reader.read(4096)
        writer.write(b"seen: " + received)
        await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        proxy = EgressProxy([pattern.format(port) for pattern in allowed], "task t")
        sock = socket.create_server(("127.0.0.1", 0))
        address = sock.getsockname()
        await proxy.start(sock)

        async def ask(request: str) -> bytes:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(request.encode())
            try:
                return await asyncio.wait_for(reader.read(), 10)
            finally:
                writer.close()

        try:
            await talk(ask, port)
        finally:
            await proxy.aclose()
            server.close()

    asyncio.run(main())


def test_requests_to_allowed_hosts_pass() -> None:
    async def talk(ask: Ask, port: int) -> None:
        tunnel = await ask(f"CONNECT localhost:{port} HTTP/1.1\r\nHost: x\r\n\r\nhello")
        assert tunnel == b"HTTP/1.1 200 Connection established\r\n\r\nseen: hello"
        plain = await ask(
            f"GET http://127.0.0.1:{port}/a?b HTTP/1.1\r\nHost: h\r\nProxy-Authorization: x\r\nConnection: keep-alive"
            "\r\n\r\n"
        )
        assert plain == b"seen: GET /a?b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

    run(["localhost:{}", "127.0.0.1:{}"], talk)


def test_everything_else_is_refused_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def talk(ask: Ask, port: int) -> None:
        for request, status in (
            (f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n", b"403"),
            (f"GET http://user@127.0.0.1:{port}/secret HTTP/1.1\r\n\r\n", b"403"),
            (f"CONNECT localhost@127.0.0.1:{port} HTTP/1.1\r\n\r\n", b"403"),
            ("CONNECT localhost:22 HTTP/1.1\r\n\r\n", b"403"),
            ("GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
            (f"GET https://localhost:{port}/ HTTP/1.1\r\n\r\n", b"400"),
            ("GET file:///etc/passwd HTTP/1.1\r\n\r\n", b"400"),
            ("nonsense\r\n\r\n", b"400"),
            ("CONNECT localhost:99999 HTTP/1.1\r\n\r\n", b"400"),
        ):
            assert (await ask(request)).startswith(b"HTTP/1.1 " + status), request
        assert await ask("x" * 100_000) == b""

    with caplog.at_level(logging.WARNING):
        run(["localhost:{}"], talk)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 4
    assert "secret" not in "".join(lines)
    assert lines[0].startswith("task t: refused a connection to '127.0.0.1', port ")


def test_an_allowed_name_does_not_lead_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    async def talk(ask: Ask, port: int) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", found)
        assert (await ask(f"CONNECT rebound.example:{port} HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 502")

    run(["rebound.example:{}"], talk)
