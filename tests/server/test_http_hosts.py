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


@pytest.mark.slow
def test_pages_of_other_origins_are_refused_before_anything_runs(server: Running, engine: ScriptedEngine) -> None:
    runs, (host, port) = len(engine.specs), server.address
    other = [
        "https://evil.example", f"http://{host}.evil.example:{port}", "null", "", "http://[::1", "http://localhost:3000",
        f"http://localhost:{port}", f"http://{host}", f"http://{host}:{port + 1}", f"https://{host}",
        f"http://user@{host}:{port}", f"http://{host}:{port}/", f"ftp://{host}:{port}", f"{host}:{port}",
        f"http://{host}:{port}, http://evil.example", f"http://{host}:{port}#", f"http://{host}:{port}0000",
    ]  # fmt: skip
    with server.client() as client:
        for origin in other:
            for path in ("/task", "/chat/completions"):
                response = client.post(path, json={"description": "a"}, headers={"Origin": origin})
                assert response.status_code == 403, origin
                assert response.json()["error"]["type"] == "permission_error"
                assert not allowed(response)
        for site in ("cross-site", "same-site", "Cross-Site", "anything"):
            response = client.post("/task", json={"description": "a"}, headers={"Sec-Fetch-Site": site})
            assert (response.status_code, allowed(response)) == (403, []), site
            assert client.get("/health", headers={"Sec-Fetch-Site": site}).status_code == 403
    assert len(engine.specs) == runs


def test_pages_of_this_server_are_served(server: Running) -> None:
    host, port = server.address
    with server.client() as client:
        for origin in (f"http://{host}:{port}", f"https://{host}:{port}", f"HTTP://{host}:{port}".lower()):
            headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
            response = client.get("/models", headers=headers)
            assert (response.status_code, allowed(response)) == (200, []), origin
        assert client.get("/models", headers={"Sec-Fetch-Site": "none"}).status_code == 200
    for host_header, origin in (
        ("agents.example", "https://agents.example"),
        ("Agents.example.:443", "https://agents.example"),
        ("agents.example", "http://agents.example:80"),
        (f"[::1]:{port}", f"http://[::1]:{port}"),
    ):
        with RawConnection(server.address, head(host=host_header, Origin=origin)) as raw:
            assert raw.response().status == 200, origin


def test_no_origin_ever_gets_permission(server: Running) -> None:
    """Without it, browsers send no request with a key, with JSON, or with another method than GET and POST."""
    host, port = server.address
    with httpx.Client(base_url=server.base_url, verify=False) as client:
        for origin in ("https://evil.example", f"http://{host}:{port}"):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "*"}
            response = client.options("/task", headers=headers)
            assert response.status_code in (403, 405)
            assert not allowed(response)


def test_a_request_that_a_page_may_send_without_permission_does_nothing(
    server: Running, engine: ScriptedEngine
) -> None:
    """Forms and scripts send these to any server: no key, and a body of one of three types."""
    runs = len(engine.specs)
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        url, headers = f"{server.base_url}/task", {"Content-Type": content_type}
        assert httpx.post(url, content=BODY, headers=headers, verify=False).status_code == 401
        headers["Authorization"] = f"Bearer {KEY}"
        response = httpx.post(url, content=BODY, headers=headers, verify=False)
        assert (response.status_code, response.json()["error"]["param"]) == (400, "Content-Type")
    assert len(engine.specs) == runs


def allowed(response: httpx.Response) -> list[str]:
    """Return the headers that give a page of another origin permission for something."""
    return [name for name in response.headers if name.startswith("access-control-")]


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
            assert httpx.get(url, headers={"Host": host}, verify=False).status_code == status
