"""Bytes between client and server: what is sent together, early responses, and tunnels through a proxy."""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clients.client_kinds import ClientKind
from support.servers import raw_http, responses
from support.servers.trusted_tls import trusted_tls
from support.servers.tunnel_proxy import accepting, tunnel_to

from claude_code_client import errors

COMPLETION = {"id": "msg_1", "content": "Hi", "model": "m", "cost": 0.25}


def test_head_and_body_of_a_request_are_sent_together(both: ClientKind) -> None:
    received: list[bytes] = []

    def serve(peer: socket.socket) -> None:
        received.append(peer.recv(1 << 16))
        peer.sendall(b"".join(raw_http.response(200, COMPLETION)))

    with accepting(serve) as address:
        client = both.client(f"http://{address}/v1")
        assert both.call(client.complete("Hello")).content == "Hi"
        both.call(client.close())
    assert received[0].endswith(b'"content":"Hello"}]}')


def test_large_request_that_is_refused_before_its_end(both: ClientKind) -> None:
    def serve(peer: socket.socket) -> None:
        peer.recv(1 << 12)
        refusal = {"error": {"type": "invalid_request_error", "message": "Too large."}}
        peer.sendall(b"".join(raw_http.response(413, refusal, Connection="close")))
        while peer.recv(1 << 20):
            pass

    with accepting(serve) as address:
        client = both.client(f"http://{address}/v1", max_retries=0)
        with pytest.raises(errors.ClaudeAPIError, match="Too large") as caught:
            both.call(client.complete("x" * (1 << 24)))
        both.call(client.close())
    assert caught.value.status_code == 413


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """TLS context of a.example, which clients trust."""
    with trusted_tls("a.example", tmp_path, monkeypatch) as context:
        yield context


def test_calls_through_a_proxy(both: ClientKind, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[bytes] = []
    handle = raw_http.SocketServer(lambda _: raw_http.response(200, responses.task()), tls)
    with (
        raw_http.serve(handle) as server,
        accepting(tunnel_to(server.base_url.split("/")[2], heads)) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@{proxy}")
        client = both.client("https://a.example/v1", max_retries=0)
        for _ in range(2):
            assert both.call(client.get_task("task_1")).id == "task_1"
        both.call(client.close())
        assert server.connections == 1
    assert heads[0].startswith(b"CONNECT a.example:443 HTTP/1.1\r\n")
    credentials = base64.b64encode(b"me:secret")
    assert b"\r\nproxy-authorization: basic " + credentials.lower() + b"\r\n" in heads[0].lower()
    assert "authorization" in server.requests[0].headers
    assert "proxy-authorization" not in server.requests[0].headers


@pytest.mark.usefixtures("tls")
def test_nothing_was_sent_to_a_server_that_a_proxy_refuses(both: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(peer: socket.socket) -> None:
        peer.recv(1 << 16)
        peer.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    with accepting(refuse) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
        client = both.client("https://a.example/v1", max_retries=0)
        with pytest.raises(errors.APIConnectionError) as caught:
            both.call(client.complete("x"))
        both.call(client.close())
    assert not caught.value.outcome_unknown
