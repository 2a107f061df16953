"""HTTP basics of every request: keys, bodies, paths, methods, errors, request IDs."""

import asyncio
import json
import logging
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.clients.raw_connection import RawConnection, head
from support.servers.embedded_server import KEY, Running, serving
from support.servers.scripted_engine import DONE, ScriptedEngine

from claude_code_server.contract.operations import Contract
from claude_code_server.domain.settings import Settings
from claude_code_server.http.app import create_app

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("workspace"), ScriptedEngine(DONE)) as running:
        yield running


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def error_of(response: httpx.Response, status: int, type: str) -> dict[str, Any]:
    assert response.status_code == status
    error: dict[str, Any] = response.json()["error"]
    assert error["type"] == type
    assert "\n" not in error["message"]
    assert len(error["message"]) < 300
    return error


def test_head_and_body_of_a_short_response_arrive_together(server: Running) -> None:
    with RawConnection(server.address, head()) as raw:
        received = raw.socket.recv(65_536)
    assert received.startswith(b"HTTP/1.1 200")
    assert received.endswith(b"}")


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (b"", None),
        (b" \n", None),
        (b'{"description": ', None),
        (b"description=a", None),
        (b'"\xff\xfe"', None),
        (b'{"description": "a", "timeout": NaN}', None),
        (b'{"description": "a", "timeout": 1e999}', None),
        (b'{"description": "a", "max_cost": ' + b"9" * 5000 + b"}", None),
        (b'{"description": "\\ud800"}', None),
        (b"[" * 200_000, None),
        (b"[]", None),
        (b"null", None),
        (b"{}", "description"),
        (b'{"description": ""}', "description"),
        (b'{"description": " \\t"}', "description"),
        (b'{"description": 7}', "description"),
        (b'{"description": "a", "timeout": -1}', "timeout"),
        (b'{"description": "a", "allow_tools": "Bash"}', "allow_tools"),
        (b'{"description": "a", "allow_tools": [1]}', "allow_tools[0]"),
        (b'{"description": "a", "context": "' + b"secret" * 50_000 + b'"}', "context"),
    ],
)
def test_an_invalid_body_is_rejected_with_the_field(client: httpx.Client, content: bytes, param: str | None) -> None:
    response = client.post("/task", content=content, headers=JSON)
    error = error_of(response, 400, "invalid_request_error")
    assert error.get("param") == param
    assert "secret" not in response.text
    if param is not None:
        assert error["message"].startswith(f"{param}: must") or error["message"] == f"{param}: is required."


def test_the_content_type_must_be_json(client: httpx.Client) -> None:
    body = b'{"description": "a"}'
    for accepted in ("application/json", "application/json; charset=utf-8", "Application/JSON"):
        assert client.post("/task", content=body, headers={"Content-Type": accepted}).status_code == 200
    for refused in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        response = client.post("/task", content=body, headers={"Content-Type": refused})
        assert error_of(response, 400, "invalid_request_error")["param"] == "Content-Type"


def test_parameters_are_validated(client: httpx.Client) -> None:
    for name, value in (("Idempotency-Key", ""), ("Idempotency-Key", "k" * 256), ("Prefer", "a" * 256)):
        response = client.post("/task", json={"description": "a"}, headers={name: value})
        assert error_of(response, 400, "invalid_request_error")["param"] == name
    assert error_of(client.get("/usage?period=year"), 400, "invalid_request_error")["param"] == "period"


def test_a_body_that_is_too_large_is_rejected(server: Running, client: httpx.Client) -> None:
    large = b'{"description": "' + b"a" * 10_000_000 + b'"}'

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(large), 500_000):
            yield large[start : start + 500_000]

    for content in (large, pieces()):
        error = error_of(client.post("/task", content=content, headers=JSON), 413, "request_too_large")
        assert "10 MB" in error["message"]
    assert client.get("/health").status_code == 200
    with socket.create_connection(server.address) as raw:
        raw.sendall(
            b"POST /v1/task HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n"
            b"Content-Type: application/json\r\nContent-Length: 50000000000\r\n\r\n"
        )
        assert raw.recv(1000).startswith(b"HTTP/1.1 413 ")


@pytest.mark.slow
def test_a_body_just_below_the_limit_is_accepted(client: httpx.Client) -> None:
    response = client.post("/task", json={"description": "a", "context": {"text": "é" * 4_900_000}})
    assert response.status_code == 200


@pytest.mark.slow
def test_validating_many_messages_does_not_block_other_requests(server: Running, client: httpx.Client) -> None:
    body = {"messages": [{"role": "user", "content": "a"}] * 15_000 + [{"role": "nobody", "content": ""}]}
    with server.client() as other, ThreadPoolExecutor(1) as threads:
        large = threads.submit(other.post, "/chat/completions", json=body)
        health_checks = 0
        while not large.done():
            assert client.get("/health").status_code == 200
            health_checks += 1
        assert health_checks > 5
        assert error_of(large.result(), 400, "invalid_request_error")["param"] == "messages[15000].role"


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, "No API key"),
        ("", "No API key"),
        ("Bearer", "bearer token"),
        (f"Basic {KEY}", "bearer token"),
        (KEY, "bearer token"),
        (f"Bearer {KEY}x", "Invalid API key"),
        ("Bearer é".encode(), "Invalid API key"),
    ],
)
def test_a_request_without_a_valid_key_is_rejected(server: Running, header: str | bytes | None, part: str) -> None:
    headers = {} if header is None else {b"Authorization": header if isinstance(header, bytes) else header.encode()}
    with server.client(key=None) as client:
        for method, path in (("GET", "/models"), ("POST", "/task"), ("GET", "/task/x"), ("GET", "/task/x/events")):
            response = client.request(method, path, headers=headers)
            error = error_of(response, 401, "authentication_error")
            assert part in error["message"]
            assert KEY not in response.text
            assert response.headers["www-authenticate"] == "Bearer"
        assert client.get("/health").status_code == 200


def test_the_authorization_scheme_is_case_insensitive(server: Running) -> None:
    with server.client(key=None) as client:
        assert client.get("/models", headers={"Authorization": f"bearer  {KEY}"}).status_code == 200


def test_an_unknown_path_is_404(server: Running, client: httpx.Client) -> None:
    for path in ("/nowhere", "/task/", "/task/a/b", "/task/a%2Fb", "/v1/task", "/"):
        error_of(client.get(path), 404, "not_found_error")
    root = httpx.URL(server.base_url).copy_with(path="/task")
    assert "/v1/" in error_of(client.post(root, json={"description": "a"}), 404, "not_found_error")["message"]
    assert "paths start with" not in error_of(client.get("/nowhere"), 404, "not_found_error")["message"]


def test_a_wrong_method_is_405_with_the_allowed_methods(client: httpx.Client) -> None:
    for method, path, allowed in (
        ("PUT", "/task", "POST, GET"),
        ("DELETE", "/task/x", "GET"),
        ("GET", "/chat/completions", "POST"),
        ("OPTIONS", "/models", "GET"),
    ):
        response = client.request(method, path)
        error_of(response, 405, "invalid_request_error")
        assert sorted(response.headers["allow"].split(", ")) == sorted(allowed.split(", "))


def test_every_response_has_its_own_request_id(client: httpx.Client) -> None:
    ids = {client.get("/health", headers={"X-Request-Id": "mine"}).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20
    assert "mine" not in ids


def test_health_reports_versions_engine_and_upstream(client: httpx.Client) -> None:
    health = client.get("/health").json()
    assert (health["status"], health["engine"], health["upstream"]) == ("ok", "scripted", "offline")
    assert health["spec_version"] == "1.0.0"
    models = client.get("/models").json()["data"]
    assert [model["alias"] for model in models] == ["haiku", "sonnet", "opus"]
    assert [model["alias"] for model in models if model["default"]] == ["sonnet"]
    capabilities = client.get("/capabilities").json()
    for kind, name in (("tools", "Bash"), ("agents", "code-analyzer"), ("skills", "semantic-text-matcher")):
        assert name in [capability["name"] for capability in capabilities[kind]]
        assert all(capability["description"] for capability in capabilities[kind])


def test_an_internal_error_does_not_leak_the_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = tmp_path / "state"
    with serving(tmp_path, ScriptedEngine(), state_dir=state) as server, server.client() as client:
        with closing(sqlite3.connect(state / "state.sqlite3")) as db:
            db.execute("DROP TABLE tasks")
        with caplog.at_level(logging.DEBUG):
            response = client.post("/task/task_1/cancel", json={"reason": "secret prompt"})
    error_of(response, 500, "server_error")
    assert response.headers["x-request-id"] in caplog.text
    assert "OperationalError" in caplog.text
    assert "secret" not in caplog.text + response.text
    assert KEY not in caplog.text


def test_an_operation_without_a_handler_is_501(tmp_path: Path) -> None:
    document = json.loads((files("claude_code_api") / "openapi.json").read_bytes())
    document["paths"]["/task"]["delete"] = {"operationId": "delete_tasks", "security": [{"bearerAuth": []}]}
    with (
        serving(tmp_path, ScriptedEngine(), contract=Contract(document)) as server,
        server.client() as client,
    ):
        error_of(client.delete("/task"), 501, "not_implemented_error")


def test_paths_and_names_come_from_the_contract(tmp_path: Path) -> None:
    document = json.loads((files("claude_code_api") / "openapi.json").read_bytes())
    document["paths"]["/status"] = document["paths"].pop("/health")
    document["paths"]["/jobs/{job}"] = document["paths"].pop("/task/{task_id}")
    parameter = document["components"]["parameters"]["TaskId"]
    parameter["name"] = "job"
    parameter["schema"]["x-python-name"] = "task_id"
    document["servers"] = [{"url": "https://example.org"}]
    engine = ScriptedEngine(DONE)
    with (
        serving(tmp_path, engine, contract=Contract(document)) as server,
        httpx.Client(
            base_url=f"http://{server.address[0]}:{server.address[1]}",
            headers={"Authorization": f"Bearer {KEY}"},
            verify=False,
        ) as client,
    ):
        assert client.get("/status").json()["status"] == "ok"
        created = client.post("/task", json={"description": "a"}, headers={"Prefer": "wait=10"})
        assert created.headers["location"] == f"/jobs/{created.json()['id']}"
        assert client.get(created.headers["location"]).json() == created.json()
        assert client.get("/health").json() == {"status": "ok"}, "the probe, not the operation"


def test_the_application_starts_and_stops_its_own_services(tmp_path: Path) -> None:
    app = create_app(Settings(workspace=tmp_path, api_keys=(KEY,), state_dir=tmp_path / "state"), ScriptedEngine(DONE))

    async def main() -> str:
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost/v1", verify=False) as client:
                headers = {"Authorization": f"Bearer {KEY}"}
                response = await client.post("/task", json={"description": "a"}, headers=headers)
                return str(response.json()["status"])

    for _ in range(2):
        assert asyncio.run(main()) == "completed"


def test_the_server_survives_pipelined_and_broken_requests(server: Running, client: httpx.Client) -> None:
    for raw in (b"\x00\x01\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5, b"POST /v1/task HTTP/1.1\r\n\r\n"):
        with socket.create_connection(server.address) as connection:
            connection.sendall(raw)
    assert client.get("/health").status_code == 200
