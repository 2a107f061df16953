"""Batches on a Dask cluster of real processes: workers and coordinators die, and nothing is lost or run twice."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support.batch_results import indexes, results_of
from support.clients.client_kinds import KEY, ClientKind
from support.clients.client_process import WORKER_KEY, client_process
from support.clients.dask_cluster import dask_cluster, kill_worker, shown, wait_for_replacement
from support.clients.executors import RecordingExecutor
from support.code_blocks import ROOT
from support.servers.completion_server import PRICES, completion_server
from support.servers.server_process import server_process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("dask"),
    pytest.mark.skipif(find_spec("distributed") is None, reason="Dask is not installed"),
]

PRICED = {**PRICES, "max_output_tokens": 50}
"""With this price, a completion costs 0.01 USD at most."""


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """Cluster of two workers for all tests: a start takes seconds of CPU."""
    with dask_cluster(2) as client:
        yield client


def test_killed_worker_loses_no_item_and_nothing_shows_the_key(both: ClientKind, dask: Any) -> None:
    count, hold = 120, threading.Event()

    def script(prompt: str, number: int) -> None:
        if prompt == "50":
            hold.wait(20)

    executor = RecordingExecutor(dask.get_executor())
    with completion_server(script=script, prices=PRICED, cost=lambda prompt: 0.01) as server:
        batch = both.client(server.base_url).map_completions(
            [str(number) for number in range(count)],
            executor=executor,
            worker_key=WORKER_KEY,
            budget=count * 0.01,
            max_in_flight=8,
        )
        results = both.each(batch)
        done = [next(results) for _ in range(10)]
        seen = shown(dask)
        killed = kill_worker(dask)
        hold.set()
        done += results
    assert sorted(result.index for result in done) == list(range(count))
    assert all(result.ok for result in done)
    assert set(server.runs.values()) == {1}
    assert server.most_in_flight <= 8 * 2  # those of the dead worker are still at the server
    assert batch.progress.cost == pytest.approx(count * 0.01)
    wait_for_replacement(dask, killed)
    seen += shown(dask)
    assert "run_chunk" in seen
    for secret in (KEY, '"49"', "prompt"):
        assert secret not in seen
    assert KEY.encode() not in b"".join(executor.pickles)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_killed_coordinator_goes_on_without_running_an_item_twice(kind: str, dask: Any, tmp_path: Path) -> None:
    count, path = 100, tmp_path / "out.jsonl"
    options = {"results": str(path), "max_in_flight": 8, "budget": count * 0.01}
    address = dask.cluster.scheduler_address
    with completion_server(prices=PRICED, cost=lambda prompt: 0.01, latency=lambda calls: 0.02) as server:
        arguments = (kind, server.base_url, "map_completions", options)
        with client_process(*arguments, times=count, executor=address) as coordinator:
            for _ in range(count // 4):
                coordinator.wait_for("new")
            coordinator.kill()
        assert len(server.runs) < count
        with client_process(*arguments, times=count, executor=address) as coordinator:
            kinds = results_of(coordinator)
    assert kinds["failed"] == 0
    assert kinds["old"] >= count // 4
    assert kinds["old"] + kinds["new"] == count
    assert sorted(indexes(path)) == list(range(count))
    assert len(server.runs) == count
    assert set(server.runs.values()) == {1}


@pytest.mark.long
def test_restarted_workers_lose_no_item(both: ClientKind, dask: Any) -> None:
    """The scheduler forgets all work when its client restarts the cluster."""
    with completion_server(latency=lambda calls: 0.05) as server:
        batch = both.client(server.base_url).map_completions(
            [str(number) for number in range(150)],
            executor=dask.get_executor(),
            worker_key=WORKER_KEY,
            max_in_flight=8,
        )
        results = both.each(batch)
        done = [next(results) for _ in range(10)]
        dask.restart()
        done += results
    assert sorted(result.index for result in done) == list(range(150))
    assert all(result.ok for result in done)
    assert set(server.runs.values()) == {1}


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_thousand_items_through_killed_workers_and_a_killed_coordinator(kind: str, tmp_path: Path) -> None:
    count, path, price = 1000, tmp_path / "out.jsonl", 0.01
    budget = 0.75 * count * price
    spent: list[float] = []
    with (
        dask_cluster(4) as dask,
        completion_server(prices=PRICED, cost=lambda prompt: price, latency=lambda calls: 0.05) as server,
    ):
        address = dask.cluster.scheduler_address
        texts = []

        def run(budget: float, until: int | None) -> Counter[str]:
            options = {"results": str(path), "max_in_flight": 16, "budget": budget}
            arguments = (kind, server.base_url, "map_completions", options)
            with client_process(*arguments, times=count, executor=address) as coordinator:
                if until is None:
                    return results_of(coordinator)
                for number in range(until):
                    coordinator.wait_for("new")
                    if number == until // 2:
                        texts.append(shown(dask))
                        kill_worker(dask)
                coordinator.kill()
            return Counter()

        run(budget, count // 2)
        spent.append(sum(server.runs.values()) * price)
        kinds = run(budget, None)
        spent.append(sum(server.runs.values()) * price)
        # The budget was too small for a quarter of them: with a larger one, the same call runs the rest.
        assert kinds["failed"] == count // 4
        rest = run(count * price, None)
        texts.append(shown(dask))
    print(f"spent {spent} of {budget}; {sum(server.requests.values())} requests for {count} items; second run {kinds}")
    assert spent[0] <= spent[1] <= budget + 1e-9
    assert spent[1] >= 0.98 * budget
    assert rest["failed"] == 0
    assert sorted(indexes(path)) == list(range(count))
    assert len(server.runs) == count
    assert set(server.runs.values()) == {1}
    assert all("run_chunk" in text for text in texts[:1])
    assert all(secret not in text for text in texts for secret in (KEY, "Say "))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_thousand_items_on_the_embedded_server(tmp_path: Path) -> None:
    count, path = 1000, tmp_path / "out.jsonl"
    options = {"results": str(path), "max_in_flight": 16}
    with dask_cluster(4) as dask, server_process(tmp_path, api_keys=[KEY]) as server:
        arguments = ("sync", server.base_url, "map_completions", options)
        with client_process(*arguments, times=count, executor=dask.cluster.scheduler_address) as coordinator:
            for number in range(count // 2):
                coordinator.wait_for("new")
                if number == count // 4:
                    kill_worker(dask)
            coordinator.kill()
        with client_process(*arguments, times=count, executor=dask.cluster.scheduler_address) as coordinator:
            kinds = results_of(coordinator)
        [(runs,)] = server.query("SELECT count(*) FROM usage")
    print(kinds, "runs at the server:", runs)
    assert kinds["failed"] == 0
    assert sorted(indexes(path)) == list(range(count))
    assert runs == count


@pytest.mark.long
def test_the_example_runs(tmp_path: Path) -> None:
    with completion_server() as server:
        example = subprocess.run(
            [sys.executable, str(ROOT / "examples" / "dask_cluster.py")],
            env={"PATH": os.environ["PATH"], "CLAUDE_API_KEY": KEY, "CLAUDE_BASE_URL": server.base_url},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=50,
            check=True,
        )
    assert sorted(example.stdout.splitlines()) == sorted(f"{number} Say {number}" for number in range(20))
    assert sorted(indexes(tmp_path / "out.jsonl")) == list(range(20))


def test_package_shows_nothing_of_itself() -> None:
    from claude_code_client._client._bulk.workers.chunk import Package

    assert repr(pickle.loads(pickle.dumps(Package(b"prompt")))) == "Package()"


def test_chunk_that_is_sent_again_is_new_to_dask() -> None:
    from dask.base import tokenize

    from claude_code_client._client._bulk.workers.chunk import Package

    assert tokenize(Package(b"prompt")) != tokenize(Package(b"prompt"))
