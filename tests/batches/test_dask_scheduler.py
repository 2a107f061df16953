"""Batches on a Dask cluster whose scheduler, a process of its own, is killed: nothing is lost, run twice or stuck."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from support.batch_results import indexes, results_of
from support.clients.client_kinds import KEY, ClientKind
from support.clients.client_process import WORKER_KEY, client_process
from support.servers.completion_server import completion_server

pytest.importorskip("distributed")

from support.clients.dask_processes import connected, dask_processes

# Each process takes seconds of CPU to import Dask.
pytestmark = [pytest.mark.long, pytest.mark.timeout(120), pytest.mark.xdist_group("dask")]

COUNT = 200
BOUND = 5.0
"""Seconds in which a batch ends whose scheduler is gone: 2 for the end of calls, the rest for a busy machine."""


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


class LeftError(Exception):
    """Exception of the caller's own code."""


def leave_with_exception(both: ClientKind, batch: Any) -> list[str]:
    """Leave the batch's ``with`` block with an exception; return its notes."""

    async def leave() -> None:
        async with batch:
            raise LeftError

    with pytest.raises(LeftError) as caught:  # noqa: PT012 (one statement for each kind of client)
        if both.kind == "async":
            both.call(leave())
        with batch:
            raise LeftError
    return caught.value.__notes__


@pytest.mark.parametrize("how", ["closed", "exception"])
def test_batch_without_a_scheduler_ends_in_seconds_and_goes_on_elsewhere(
    both: ClientKind, how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "claude_code_client")
    path = tmp_path / "out.jsonl"
    with completion_server(latency=lambda calls: 0.05) as server:
        client = both.client(server.base_url)

        def begin(dask: Any) -> Any:
            return client.map_completions(
                [str(number) for number in range(COUNT)],
                executor=dask.get_executor(),
                worker_key=WORKER_KEY,
                max_in_flight=8,
                results=path,
            )

        with dask_processes({WORKER_KEY: KEY}) as cluster, connected(cluster) as dask:
            batch = begin(dask)
            results = both.each(batch)
            for _ in range(20):
                next(results)
            cluster.kill_scheduler()
            began = time.monotonic()
            if how == "closed":
                both.call(batch.close() if both.kind == "sync" else batch.aclose())
                said = caplog.text
            else:
                [said] = leave_with_exception(both, batch)
            assert time.monotonic() - began < BOUND
            assert f"call it again with the same items and results={str(path)!r}" in said
            results.close()  # type: ignore[attr-defined]  # a generator
        with dask_processes({WORKER_KEY: KEY}) as cluster, connected(cluster) as dask:
            done = list(both.each(begin(dask)))
    assert sorted(result.index for result in done) == list(range(COUNT))
    assert all(result.ok for result in done)
    assert sum(result.resumed for result in done) >= 20
    assert set(server.runs.values()) == {1}
    assert KEY not in caplog.text


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_ctrl_c_without_a_scheduler_ends_in_seconds_and_the_batch_goes_on_elsewhere(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    options = {"results": str(path), "max_in_flight": 8}
    with completion_server(latency=lambda calls: 0.05) as server:
        with (
            dask_processes({WORKER_KEY: KEY}) as cluster,
            client_process(
                kind, server.base_url, "map_completions", options, times=COUNT, executor=cluster.address
            ) as worker,
        ):
            worker.wait_for("new")
            cluster.kill_scheduler()
            code, said = worker.interrupt(BOUND)
            assert code != 0
            assert f"call it again with the same items and results='{path}'" in said
        with (
            dask_processes({WORKER_KEY: KEY}) as cluster,
            client_process(
                kind, server.base_url, "map_completions", options, times=COUNT, executor=cluster.address
            ) as worker,
        ):
            kinds = results_of(worker)
    assert kinds["failed"] == 0
    assert kinds["old"] >= 1
    assert kinds["old"] + kinds["new"] == COUNT
    assert set(server.runs.values()) == {1}
