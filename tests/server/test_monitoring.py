"""Health and metrics: who may read them, what they say, and that no label comes from a client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.clients.raw_connection import RawConnection
from support.clients.socket_followers import on_loop
from support.servers.embedded_server import KEY, Running, serving
from support.servers.scripted_engine import Gate, ScriptedEngine, says

from claude_code_server.domain.engine_protocol import Outcome
from claude_code_server.domain.usage import Usage
from claude_code_server.services.metrics import Metrics

TOKEN = "metrics-token-of-the-test"
DONE = Outcome("completed", usage=Usage(70, 7, 0.25))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with serving(tmp_path, ScriptedEngine(DONE), metrics_token=TOKEN) as running:
        yield running


def url(server: Running, path: str) -> str:
    return "http://{}:{}{}".format(*server.address, path)


def samples(server: Running) -> dict[str, float]:
    response = httpx.get(url(server, "/metrics"), headers={"Authorization": f"Bearer {TOKEN}"}, verify=False)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = {}
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name.removeprefix('claude_code_server_')}{{{labels}}}"] = sample.value
    return found


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/health/live"])
def test_health_needs_no_key_and_tells_no_more_than_the_status(server: Running, path: str) -> None:
    response = httpx.get(url(server, path), verify=False)
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response.headers["cache-control"] == "no-store"
    assert httpx.head(url(server, path)).status_code == 200
    refused = httpx.post(url(server, path), verify=False)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert httpx.get(url(server, path), headers={"Host": "evil.example"}, verify=False).status_code == 403


def test_a_server_that_cannot_store_is_alive_but_not_ready(tmp_path: Path) -> None:
    gate = Gate()
    with serving(tmp_path, ScriptedEngine(gate, DONE)) as server, server.client() as client:
        task = client.post("/task", json={"description": "a"}, headers={"Prefer": "respond-async"}).json()["id"]
        gate.reached.wait(10)

        async def write(value: str) -> None:
            server.services.store._db.execute(f"PRAGMA query_only = {value}")

        on_loop(server, lambda: write("ON"))
        gate.open()
        assert client.get(f"/task/{task}", headers={"Prefer": "wait=10"}).json()["status"] == "failed"
        response = httpx.get(url(server, "/health"), verify=False)
        assert (response.status_code, response.json()) == (503, {"status": "unavailable", "failing": ["store"]})
        assert response.headers["retry-after"]
        assert httpx.get(url(server, "/health/live"), verify=False).status_code == 200
        on_loop(server, lambda: write("OFF"))
        assert httpx.get(url(server, "/health/ready"), verify=False).status_code == 200


def test_a_server_that_stops_is_not_ready(server: Running) -> None:
    async def stop() -> None:
        await server.services.stop()

    on_loop(server, stop)
    response = httpx.get(url(server, "/health/ready"), verify=False)
    assert (response.status_code, response.json()["failing"]) == (503, ["server"])


def test_metrics_need_the_token(server: Running) -> None:
    for headers in ({}, {"Authorization": f"Bearer {KEY}"}, {"Authorization": f"Basic {TOKEN}"}):
        response = httpx.get(url(server, "/metrics"), headers=headers, verify=False)
        assert response.status_code == 401, headers
        assert response.json()["error"]["type"] == "authentication_error"
        assert TOKEN not in response.text


def test_without_a_token_there_are_no_metrics(tmp_path: Path) -> None:
    with serving(tmp_path, ScriptedEngine(DONE)) as server:
        headers = {"Authorization": f"Bearer {KEY}"}
        assert httpx.get(url(server, "/metrics"), headers=headers, verify=False).status_code == 404


def test_requests_tasks_and_usage_are_counted(server: Running) -> None:
    with server.client() as client:
        task = client.post("/task", json={"description": "a"}).json()["id"]
        client.get(f"/task/{task}")
        client.get("/task/task_unknown")
        client.post("/chat/completions", json={"messages": [{"role": "user", "content": "What is Python?"}]})
    values = samples(server)
    assert values["requests_total{method=POST,route=/v1/task,status=200}"] == 1
    assert values["requests_total{method=GET,route=/v1/task/{task_id},status=200}"] == 1
    assert values["requests_total{method=GET,route=/v1/task/{task_id},status=404}"] == 1
    assert values["response_start_seconds_count{method=GET,route=/v1/task/{task_id}}"] == 2
    assert values["response_start_seconds_bucket{le=+Inf,method=POST,route=/v1/task}"] == 1
    assert values["tasks_ended_total{status=completed}"] == 1
    assert values["cost_dollars_total{model=claude-sonnet-5-5}"] == 0.25
    assert values["tokens_total{kind=output,model=claude-sonnet-5-5}"] > 7
    assert values["requests_in_progress{}"] == 1, "that for the metrics"
    assert values["store_bytes{}"] > 0
    assert values["disk_bytes{kind=total}"] > values["disk_bytes{kind=free}"] > 0


def test_tasks_that_run_and_wait_are_counted(tmp_path: Path) -> None:
    gate = Gate()
    engine = ScriptedEngine(says("a"), gate, DONE)
    with (
        serving(tmp_path, engine, metrics_token=TOKEN, max_concurrent_tasks=1) as server,
        server.client() as client,
    ):
        for _ in range(3):
            client.post("/task", json={"description": "a"}, headers={"Prefer": "respond-async"})
        gate.reached.wait(10)
        values = samples(server)
        assert (values["tasks{status=running}"], values["tasks{status=pending}"]) == (1, 2)
        assert values["queue_length{}"] == 2
        gate.open()


@pytest.mark.slow
def test_no_label_comes_from_a_client(server: Running) -> None:
    with server.client() as client:
        for number in range(20):
            client.get(f"/task/task_secret{number}")
            client.get(f"/secret{number}")
            client.get("/models", params={"secret": "1"})
            question = {"messages": [{"role": "user", "content": "secret"}], "model": f"secret{number}"}
            assert client.post("/chat/completions", json=question).status_code == 200, "the offline model is free"
    for number in range(20):
        with RawConnection(server.address, b"SECRET%d /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n" % number) as raw:
            assert raw.response().status == 405
    names = samples(server)
    assert not [name for name in names if re.search("secret", name, re.IGNORECASE)]
    assert sum(name.startswith("requests_total") for name in names) < 8
    assert names["tokens_total{kind=input,model=other}"] > 0


def test_times_fall_into_the_first_bucket_that_holds_them() -> None:
    metrics = Metrics()
    for number in range(1000):
        metrics.add_response("/v1/task", "GET", 200, number / 1000)
    [route] = metrics.routes.values()
    assert sum(route.buckets) == route.statuses[200] == 1000
    assert route.buckets[0] == 6, "0 to 5 ms"
