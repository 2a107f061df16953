"""Batches on a Dask cluster whose scheduler, a process of its own, is killed: nothing is lost or run twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.batch_results import indexes
from support.clients.client_kinds import KEY, ClientKind
from support.clients.client_process import WORKER_KEY
from support.servers.completion_server import completion_server

pytest.importorskip("distributed")

from support.clients.dask_processes import connected, dask_processes

# Each process takes seconds of CPU to import Dask.
pytestmark = [pytest.mark.long, pytest.mark.timeout(120), pytest.mark.xdist_group("dask")]

COUNT = 200


@pytest.mark.parametrize("comes_back", [True, False], ids=["restarted", "gone"])
def test_killed_scheduler_loses_no_item(
    both: ClientKind, comes_back: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "out.jsonl"
    with (
        dask_processes({WORKER_KEY: KEY}) as cluster,
        completion_server(latency=lambda calls: 0.05) as server,
        connected(cluster) as dask,
    ):
        batch = both.client(server.base_url).map_completions(
            [str(number) for number in range(COUNT)],
            executor=dask.get_executor(),
            worker_key=WORKER_KEY,
            max_in_flight=8,
            results=path,
        )
        results = both.each(batch)
        done = [next(results) for _ in range(20)]
        # What is here is in the file, whatever happens.
        assert set(indexes(path)) >= {result.index for result in done}
        cluster.kill_scheduler()
        if comes_back:
            cluster.start()
        done += results
    assert sorted(result.index for result in done) == list(range(COUNT))
    assert all(result.ok for result in done)
    assert sorted(indexes(path)) == list(range(COUNT))
    assert len(server.runs) == COUNT
    assert set(server.runs.values()) == {1}
    assert "a worker of the batch was lost" in caplog.text
    assert ("this process runs the rest" in caplog.text) is not comes_back
    assert KEY not in caplog.text
    assert KEY not in path.read_text()
    assert all(json.loads(line)["error"] is None for line in path.read_bytes().splitlines())
