"""Batches whose process is killed or interrupted: they go on, with each item run once."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support.batch_results import indexes, results_of
from support.clients.client_kinds import KEY
from support.clients.client_process import client_process
from support.fault_proxy.exchange import Exchange
from support.fault_proxy.faults import CutResponse, Fault, error_response
from support.fault_proxy.proxy import fault_proxy
from support.servers import raw_http, responses
from support.servers.completion_server import completion_server
from support.servers.server_process import server_process

pytestmark = pytest.mark.slow

FAULTS: list[Fault] = [CutResponse(10, "rst"), CutResponse(0, "fin"), error_response(503)]
BOUND = 3.0
"""Seconds from Ctrl-C to the end of the process."""


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_killed_batch_goes_on_without_running_an_item_twice(kind: str, tmp_path: Path) -> None:
    count, path = 240, tmp_path / "out.jsonl"
    options = {"results": str(path), "max_in_flight": 16}
    generator, lock = random.Random(3), threading.Lock()

    def chance(share: float) -> bool:
        with lock:
            return generator.random() < share

    busy = raw_http.response(503, responses.error("overloaded_error"))
    with completion_server(
        script=lambda prompt, number: busy if number == 1 and chance(0.02) else None,
        lost=lambda prompt, number: number == 1 and chance(0.02),
    ) as server:
        with client_process(kind, server.base_url, "map_completions", options, times=count) as worker:
            for _ in range(count // 2):
                worker.wait_for("new")
            worker.kill()
        assert len(server.runs) < count
        with path.open("ab") as file:
            file.write(b'{"index": 12')  # as if the line that was being written had been torn
        with client_process(kind, server.base_url, "map_completions", options, times=count) as worker:
            kinds = results_of(worker)
    assert kinds["failed"] == 0
    assert kinds["old"] >= count // 2
    assert kinds["old"] + kinds["new"] == count
    assert sorted(indexes(path)) == list(range(count))
    assert len(server.runs) == count
    assert set(server.runs.values()) == {1}


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_ten_thousand_items_through_faults_and_a_kill(kind: str, tmp_path: Path) -> None:
    count, path = 10_000, tmp_path / "out.jsonl"
    options = {"results": str(path), "max_in_flight": 32}
    generator = random.Random(7)

    def plan(exchange: Exchange) -> Fault | None:
        if not exchange.path or generator.random() > 0.03:
            return None
        return generator.choice(FAULTS)

    with server_process(tmp_path, api_keys=[KEY]) as server, fault_proxy() as proxy:
        port = proxy.open(server.address, plan)
        with client_process(kind, port.base_url, "map_completions", options, times=count) as worker:
            for _ in range(count // 2):
                worker.wait_for("new")
            worker.kill()
        began = time.monotonic()
        with client_process(kind, port.base_url, "map_completions", options, times=count) as worker:
            kinds = results_of(worker)
            if kinds["failed"]:
                # Items whose retries were used up; the next call runs them.
                with client_process(kind, port.base_url, "map_completions", options, times=count) as third:
                    kinds = results_of(third)
        faults = sum(exchange.fault is not None for exchange in port.exchanges)
        print(f"second half in {time.monotonic() - began:.1f} s; {faults} of {len(port.exchanges)} exchanges failed")
        [(runs,)] = server.query("SELECT count(*) FROM usage")
    assert kinds["failed"] == 0
    assert sorted(indexes(path)) == list(range(count))
    assert runs == count


@pytest.mark.parametrize(
    ("kind", "linger"), [("sync", False), ("sync", True), ("async", True)], ids=["sync, waiting", "sync", "async"]
)
def test_ctrl_c_ends_in_seconds_and_says_how_to_go_on(kind: str, linger: bool, tmp_path: Path) -> None:
    path, hold = tmp_path / "out.jsonl", threading.Event()
    options = {"results": str(path), "max_in_flight": 8}

    def script(prompt: str, number: int) -> Any:
        if prompt != "Say 0":
            hold.wait(20)

    with (
        completion_server(script=script) as server,
        client_process(kind, server.base_url, "map_completions", options, times=50, linger=linger) as worker,
    ):
        worker.wait_for("new")
        code, said = worker.interrupt(BOUND)
        hold.set()
    assert code != 0
    assert "KeyboardInterrupt" in said
    assert "map_completions() was stopped after 1 items" in said
    assert f"call it again with the same items and results='{path}'" in said
    assert indexes(path) == [0]


@pytest.mark.parametrize("how", ["submit", "cancel"])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_ctrl_c_ends_in_seconds_although_the_executor_is_stuck(kind: str, how: str, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    options = {"results": str(path), "max_in_flight": 8}
    with (
        completion_server() as server,
        client_process(kind, server.base_url, "map_completions", options, times=50, executor=f"stuck:{how}") as worker,
    ):
        worker.wait_for("stuck")
        code, said = worker.interrupt(BOUND + 2.0)  # the workers' time for the end of their calls
    assert code != 0
    assert "KeyboardInterrupt" in said
    assert f"call it again with the same items and results='{path}'" in said


@pytest.mark.parametrize("kind", ["sync", pytest.param("async", marks=pytest.mark.long)])
def test_ctrl_c_cancels_the_tasks(kind: str) -> None:
    cancelled: list[str] = []

    def handle(request: raw_http.Request) -> Any:
        if request.path.endswith("/cancel"):
            cancelled.append(request.path)
            return raw_http.response(200, responses.task("cancelled"))
        body = responses.task("running", id=f"task_{request.connection}")
        if request.method == "POST":
            return raw_http.response(202, body, Preference_Applied="respond-async")
        running.release()
        stop.wait(20)
        return raw_http.response(200, body)

    running, stop = threading.Semaphore(0), threading.Event()
    with (
        raw_http.serve(raw_http.SocketServer(handle)) as server,
        client_process(kind, server.base_url, "map_tasks", {"max_in_flight": 4}, times=50) as worker,
    ):
        for _ in range(4):
            assert running.acquire(timeout=20)
        _, said = worker.interrupt(BOUND)
        stop.set()
    assert len(set(cancelled)) == 4
    assert "map_tasks() was stopped after 0 items" in said
