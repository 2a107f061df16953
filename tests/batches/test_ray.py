"""Batches on a Ray cluster, where Ray is installed: a worker and the coordinator die, and nothing is run twice.

Ray is not among the tests' dependencies. To run this, install it into the environment: ``pip install ray``.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.clients.client_kinds import KEY, ClientKind
from support.clients.client_process import WORKER_KEY, client_process
from support.clients.executors import RecordingExecutor
from support.processes import eventually
from support.servers.completion_server import completion_server

pytest.importorskip("ray", reason="Ray is not installed")

pytestmark = [pytest.mark.long, pytest.mark.timeout(300), pytest.mark.xdist_group("ray")]

COUNT = 200


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Cluster of two workers that have the key in their environment."""
    os.environ[WORKER_KEY] = KEY
    os.environ["RAY_AUTH_MODE"] = "disabled"
    ray: Any = importlib.import_module("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    try:
        yield ray
    finally:
        ray.shutdown()
        del os.environ[WORKER_KEY], os.environ["RAY_AUTH_MODE"]


def workers() -> list[psutil.Process]:
    """Return the processes of this cluster that run a chunk."""
    found = psutil.Process().children(recursive=True)
    return [process for process in found if any("run_chunk" in word for word in process.cmdline())]


def test_killed_worker_loses_no_item(both: ClientKind, ray: Any) -> None:
    from ray_executor import RayExecutor

    executor = RecordingExecutor(RayExecutor())
    with completion_server(latency=lambda calls: 0.05) as server:
        prompts = [f"Say {number}" for number in range(COUNT)]
        batch = both.client(server.base_url).map_completions(
            prompts, executor=executor, worker_key=WORKER_KEY, max_in_flight=8
        )
        results = both.each(batch)
        done = [next(results) for _ in range(30)]
        eventually(workers)
        os.kill(workers()[0].pid, signal.SIGKILL)
        done += results
    assert sorted(result.index for result in done) == list(range(COUNT))
    assert all(result.ok for result in done)
    assert set(server.runs.values()) == {1}
    print(f"{sum(server.requests.values())} requests for {COUNT} items")
    assert KEY.encode() not in b"".join(executor.pickles)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_killed_coordinator_goes_on(kind: str, ray: Any, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    options = {"results": str(path), "max_in_flight": 8}
    address = f"ray:{ray.get_runtime_context().gcs_address}"
    with completion_server(latency=lambda calls: 0.05) as server:
        arguments = (kind, server.base_url, "map_completions", options)
        with client_process(*arguments, times=COUNT, executor=address) as coordinator:
            for _ in range(COUNT // 4):
                coordinator.wait_for("new")
            coordinator.kill()
        assert len(server.runs) < COUNT
        with client_process(*arguments, times=COUNT, executor=address) as coordinator:
            while (line := coordinator.lines.get(timeout=60)) != "done":
                assert line.startswith(("new", "old", "rss"))
    assert sorted(json.loads(line)["index"] for line in path.read_bytes().splitlines()) == list(range(COUNT))
    assert len(server.runs) == COUNT
    assert set(server.runs.values()) == {1}
