"""Heads of requests that are refused before anything runs: other sites' names, and ambiguous framing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.clients.raw_connection import RawConnection, head, task_head
from support.servers.embedded_server import KEY, Running, serving
from support.servers.scripted_engine import DONE, ScriptedEngine
from support.servers.server_process import server_process

BODY = b'{"description": "a"}'


@pytest.fixture(scope="module")
def engine() -> ScriptedEngine:
    return ScriptedEngine(DONE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, engine: ScriptedEngine) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("workspace"), engine, allowed_hosts=("Agents.Example.",)) as running:
        yield running


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8123",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evillocalhost",
        "localhost@evil.example",
        "evil.example#localhost",
        "10.0.0.1",
        "[fe80::1]",
        "[::1",
        "null",
        "",
    ],
)
def test_another_sites_host_is_refused_before_anything_runs(server: Running, engine: ScriptedEngine, host: str) -> None:
    runs = len(engine.specs)
    with RawConnection(
        server.address, task_head(KEY, len(BODY)).replace(b"Host: localhost", f"Host: {host}".encode())
    ) as raw:
        raw.send(BODY)
        response = raw.response()
        assert (response.status, response.error_type) == (403, "permission_error")
        assert response.body["request_id"] == response.headers["x-request-id"]
        assert raw.ended()
    assert len(engine.specs) == runs
    with RawConnection(server.address, head(host=host)) as raw:
        assert raw.response().status == 403
    with RawConnection(server.address, head("/elsewhere", host=host)) as raw:
        assert raw.response().status == 403


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:1",
        "localhost.",
        "server.localhost",
        "127.0.0.1",
        "127.0.0.1:8123",
        "127.1.2.3",
        "[::1]:80",
        "agents.example",
        "AGENTS.example.:443",
    ],
)
def test_loopback_and_configured_names_are_served(server: Running, host: str) -> None:
    with RawConnection(server.address, head(host=host)) as raw:
        assert raw.response().status == 200


def test_a_request_without_a_host_is_refused(server: Running) -> None:
    with RawConnection(server.address, b"GET /v1/health HTTP/1.0\r\n\r\n") as raw:
        assert raw.response().status == 403


def test_pages_of_other_sites_are_refused(server: Running) -> None:
    with server.client() as client:
        for origin in ("https://evil.example", "http://127.0.0.1.evil.example:8123", "null", "", "http://[::1"):
            response = client.post("/task", json={"description": "a"}, headers={"Origin": origin})
            assert response.status_code == 403, origin
            assert response.json()["error"]["type"] == "permission_error"
        for origin in ("http://localhost:3000", "http://127.0.0.1", "https://agents.example"):
            assert client.get("/models", headers={"Origin": origin}).status_code == 200


def test_content_length_with_transfer_encoding_is_400(server: Running, engine: ScriptedEngine) -> None:
    runs = len(engine.specs)
    request = task_head(KEY, len(BODY), Transfer_Encoding="chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    with RawConnection(server.address, request + head()) as raw:
        response = raw.response()
        assert (response.status, response.error_type) == (400, "invalid_request_error")
        assert raw.ended(), "what follows may be part of either request"
    assert len(engine.specs) == runs


def test_a_malformed_request_is_a_typed_400(server: Running) -> None:
    with RawConnection(server.address, b"\x00\x01 nonsense\r\n\r\n") as raw:
        response = raw.response()
        assert (response.status, response.error_type) == (400, "invalid_request_error")
        assert raw.ended()


@pytest.mark.slow
def test_the_command_line_allows_more_names(tmp_path: Path) -> None:
    with server_process(tmp_path, api_keys=[KEY], options=["--allowed-host=agents.example"]) as server:
        url = f"{server.base_url}/health"
        for host, status in (("agents.example", 200), ("127.0.0.1:1", 200), ("evil.example", 403)):
            assert httpx.get(url, headers={"Host": host}).status_code == status
