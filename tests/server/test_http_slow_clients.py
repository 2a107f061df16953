"""Clients that send slowly, or never finish, lose their connections; honest ones keep theirs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.clients.raw_connection import RawConnection, head, task_head
from support.servers.embedded_server import KEY, Running, serving
from support.servers.scripted_engine import Gate, ScriptedEngine, says
from support.stalls import in_time

TIMEOUT = 0.6
"""Seconds for a head, and for progress of a body."""
BODY = b'{"description": "a"}'


@pytest.fixture(scope="module")
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, engine: ScriptedEngine) -> Iterator[Running]:
    workspace = tmp_path_factory.mktemp("workspace")
    with serving(workspace, engine, head_timeout=TIMEOUT, body_timeout=TIMEOUT) as running:
        yield running


@pytest.fixture(autouse=True)
def ends_soon() -> Iterator[None]:
    with in_time(4 * TIMEOUT + 2):
        yield


@pytest.mark.slow
@pytest.mark.parametrize("part", [b"G", b"GET /v1/health HTTP/1.1\r\n", head()[:-2]])
def test_half_a_head_is_408(server: Running, part: bytes) -> None:
    with RawConnection(server.address, part) as raw:
        response = raw.response()
        assert (response.status, response.error_type) == (408, "timeout_error")
        assert response.body["request_id"] == response.headers["x-request-id"]
        assert raw.ended()


def test_a_head_that_drips_is_408(server: Running) -> None:
    with RawConnection(server.address) as raw:
        for byte in head(X_Long="a" * 1000):
            raw.send(bytes([byte]))
            time.sleep(0.01)  # The client is slow: this is what is tested.
            if raw.readable():
                break
        assert raw.response().status == 408
        assert raw.ended()


def test_a_connection_without_a_request_is_closed(server: Running) -> None:
    with RawConnection(server.address) as raw:
        assert raw.ended()


def test_empty_lines_do_not_keep_a_connection_open(server: Running) -> None:
    with RawConnection(server.address, b"\r\n") as raw:
        assert raw.response().status == 400
        assert raw.ended()
    with RawConnection(server.address, head()) as raw:
        assert raw.response().status == 200
        raw.send(b"\r\n")
        assert raw.response().status == 400
        assert raw.ended()


def test_a_body_that_stalls_is_408_and_runs_nothing(server: Running, engine: ScriptedEngine) -> None:
    runs = len(engine.specs)
    with RawConnection(server.address, task_head(KEY, len(BODY)) + BODY[:-1]) as raw:
        response = raw.response()
        assert (response.status, response.error_type) == (408, "timeout_error")
        assert raw.ended()
    assert len(engine.specs) == runs


@pytest.mark.slow
def test_the_key_is_checked_before_the_body_arrives(server: Running) -> None:
    for key in ("wrong", ""):
        with RawConnection(server.address, task_head(key, 9_000_000)) as raw:
            assert raw.response().status == 401
            raw.send(b"x" * 9000)
            assert raw.ended(), "the rest of the body has a deadline too"


def test_a_connection_is_reusable_after_an_unused_body(server: Running) -> None:
    with RawConnection(server.address, task_head("wrong", 200_000)) as raw:
        assert raw.response().status == 401
        raw.send(b"x" * 200_000 + head())
        assert raw.response().status == 200


def test_a_client_that_waits_for_100_continue_needs_a_key(server: Running) -> None:
    with RawConnection(server.address, task_head("wrong", len(BODY), Expect="100-continue")) as raw:
        assert raw.response().status == 401
    with RawConnection(server.address, task_head(KEY, len(BODY), Expect="100-continue")) as raw:
        assert raw.socket.recv(100).startswith(b"HTTP/1.1 100 ")
        raw.send(BODY)
        assert raw.response().status == 200


@pytest.mark.slow
def test_a_slow_upload_that_makes_progress_succeeds(server: Running) -> None:
    body = json.dumps({"description": "a", "context": {"text": "x" * 20_000}}).encode()
    with RawConnection(server.address, task_head(KEY, len(body))) as raw:
        for start in range(0, len(body), 1000):
            raw.send(body[start : start + 1000])
            time.sleep(3 * TIMEOUT / 20)  # The client is slow: this is what is tested.
        assert raw.response().status == 200


@pytest.mark.slow
def test_an_idle_connection_stays_open_longer_than_a_head_may_take(server: Running) -> None:
    with RawConnection(server.address, head()) as raw:
        assert raw.response().status == 200
        time.sleep(2 * TIMEOUT)  # No event: nothing must happen.
        raw.send(head())
        assert raw.response().status == 200
        raw.send(head()[:-1])
        assert raw.response().status == 408


def test_pipelined_requests_are_served(server: Running) -> None:
    with RawConnection(server.address, head() * 3 + task_head(KEY, len(BODY)) + BODY + head()[:20]) as raw:
        assert [raw.response().status for _ in range(4)] == [200] * 4
        assert raw.response().status == 408


@pytest.mark.slow
def test_deadlines_do_not_apply_to_responses(tmp_path: Path) -> None:
    gate = Gate()
    engine = ScriptedEngine(says("a"), gate, says("b"))
    with (
        serving(tmp_path, engine, head_timeout=0.2, body_timeout=0.2, ping_interval=0.5) as server,
        server.client() as client,
    ):
        task = client.post("/task", json={"description": "a"}, headers={"Prefer": "respond-async"}).json()["id"]
        waiting = httpx.Headers({"Prefer": "wait=1", "Authorization": f"Bearer {KEY}"})
        started = time.monotonic()
        assert client.get(f"/task/{task}", headers=waiting).json()["status"] == "running"
        assert time.monotonic() - started >= 1
        with client.stream("GET", f"/task/{task}/events") as response:
            lines = response.iter_lines()
            pings = 0
            while pings < 2:
                pings += next(lines).startswith(":")
            gate.open()
            assert any('"status":"completed"' in line for line in lines)
