"""Batches whose items an executor's workers run: the guarantees are those of a batch in one process."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import pytest
from support.clients.client_kinds import KEY, ClientKind
from support.clients.client_process import client_process
from support.clients.executors import ClosingDaskExecutor, LossyExecutor, RecordingExecutor
from support.servers import raw_http, responses
from support.servers.completion_server import PRICES, RequestLimit, completion_server
from support.stalls import Stalls

from claude_code_client import (
    APIConnectionError,
    AuthenticationError,
    ClaudeClient,
    ConfigurationError,
    CostExceededError,
    InvalidRequestError,
    OverloadedError,
)
from claude_code_client._client._bulk.workers.coordinator_signal import CoordinatorSignal, CoordinatorWatch

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workers")]

VARIABLE = "WORKER_TEST_KEY"
"""Environment variable in which worker processes find the key."""


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    """Two processes that share nothing with this one. The last test of the module breaks them."""
    os.environ[VARIABLE] = KEY
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        yield pool
    del os.environ[VARIABLE]


def test_each_item_has_one_result(both: ClientKind, threads: ThreadPoolExecutor) -> None:
    prompts = [f"Say {number}" for number in range(150)]
    with completion_server(latency=lambda calls: 0.002) as server:
        client = both.client(server.base_url)
        batch = client.map_completions(prompts, executor=threads, ordered=True, max_in_flight=8)
        results = list(both.each(batch))
    assert [result.index for result in results] == list(range(150))
    assert all(result.ok and result.item == prompts[result.index] == result.unwrap().content for result in results)
    assert set(server.runs.values()) == set(server.requests.values()) == {1}
    assert server.most_in_flight <= 8
    # The threads share the connections of their process.
    assert len(server.connections) <= 8
    assert batch.progress.done == 150
    assert [thread for thread in threading.enumerate() if thread.name == "claude-code-client: worker"] == []


def test_number_of_calls_grows_with_workers_to_spare() -> None:
    """There are more workers than calls in flight at first."""
    with (
        ThreadPoolExecutor(8) as pool,
        completion_server(latency=lambda calls: 0.1) as server,
        ClaudeClient(KEY, server.base_url) as client,
    ):
        for result in client.map_completions(map(str, range(10**6)), executor=pool, max_in_flight=64):
            if server.most_in_flight >= 32 or result.index > 2000:
                break
        assert server.most_in_flight >= 32


def test_failed_items_do_not_affect_the_others(both: ClientKind, threads: ThreadPoolExecutor) -> None:
    refusals = {"bad": raw_http.response(400, responses.error("invalid_request_error"))}
    refusals["busy"] = raw_http.response(503, responses.error("overloaded_error"))
    items: list[Any] = [
        "good",
        "bad",
        "busy",
        {"prompt": ""},
        {"prompt": "x", "extra_body": {"lock": threading.Lock()}},
    ]
    with completion_server(script=lambda prompt, number: refusals.get(prompt)) as server:
        client = both.client(server.base_url, max_retries=0)
        results = list(both.each(client.map_completions(items, executor=threads, ordered=True)))
    assert results[0].ok
    assert isinstance(results[1].error, InvalidRequestError)
    assert isinstance(results[2].error, OverloadedError)
    assert results[2].error.__traceback__ is None
    assert results[3].error.param == "prompt"
    assert "must be picklable" in results[4].error.message


def test_budget_holds_and_is_used(both: ClientKind, threads: ThreadPoolExecutor) -> None:
    generator = random.Random(5)
    costs = {str(number): generator.uniform(0.01, 0.2) for number in range(60)}
    items = [{"prompt": prompt, "max_tokens": int(cost * 5000) + 1} for prompt, cost in costs.items()]
    with completion_server(prices=PRICES, cost=costs.__getitem__, latency=lambda calls: 0.003) as server:
        client = both.client(server.base_url)
        results = list(both.each(client.map_completions(items, budget=1.0, max_in_flight=32, executor=threads)))
    spent = sum(costs[prompt] for prompt in server.runs)
    assert 0.9 <= spent <= 1.0
    assert {type(result.error) for result in results if not result.ok} == {CostExceededError}
    assert sum(result.cost for result in results) == pytest.approx(spent)
    assert (client.usage.calls, client.usage.cost) == (len(server.runs), pytest.approx(spent))


def test_rate_limit_is_used_and_not_exceeded(both: ClientKind, threads: ThreadPoolExecutor) -> None:
    window = 2.0
    limit = RequestLimit(100, window)
    with completion_server(limit=limit) as server, Stalls() as stalls:
        client = both.client(server.base_url)
        batch = client.map_completions((str(number) for number in range(300)), max_in_flight=16, executor=threads)
        assert all(result.ok for result in both.each(batch))
    # A request that stalls on its way counts in the next window.
    assert [number for number in limit.refused if number > 1] == [] or stalls.seconds() > 0.1 * window
    # A stalled machine may not fill a window.
    assert 3 <= len(limit.windows) <= 3 + stalls.allowance() // window
    assert limit.windows[2] - limit.windows[0] < 3 * window  # none was left out


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_budget_holds_when_the_coordinator_is_killed(kind: str, tmp_path: Path) -> None:
    """Items that the server has run for the killed coordinator count, although no result says so."""
    most = {"0": 0.1, "small": 0.002, "1": 0.12, "2": 0.04, "3": 0.04}
    costs = {**most, "0": 0.02}
    items = [{"prompt": prompt, "max_tokens": round(usd * 5000)} for prompt, usd in most.items()]
    hold, ran = threading.Event(), threading.Semaphore(0)

    def lose(prompt: str, number: int) -> bool:
        if prompt in "23" and number == 1:
            ran.release()
            return hold.wait(20)
        return False

    path = tmp_path / "out.jsonl"
    # The result of a chunk's first item comes with that of its last one: few calls make small chunks.
    options = {"results": str(path), "budget": 0.2, "max_in_flight": 4}
    with completion_server(prices=PRICES, cost=costs.__getitem__, lost=lose) as server:
        arguments = (kind, server.base_url, "map_completions", options)
        with client_process(*arguments, items=items, executor="threads") as coordinator:
            assert ran.acquire(timeout=20)
            assert ran.acquire(timeout=20)
            coordinator.wait_for("new")
            coordinator.kill()
        hold.set()
        with client_process(*arguments, items=items, executor="threads") as coordinator:
            coordinator.wait_for("done")
    # The third one is too expensive beside them, although it comes first.
    assert server.runs == {"0": 1, "small": 1, "2": 1, "3": 1}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.jsonl"]


@pytest.mark.parametrize("how", ["error", "cancel"])
def test_chunk_of_a_lost_worker_is_run_again_with_its_keys(
    both: ClientKind, threads: ThreadPoolExecutor, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    executor = LossyExecutor(threads, 2, how)
    with completion_server(prices=PRICES, cost=lambda prompt: 0.01) as server:
        client = both.client(server.base_url)
        items = [{"prompt": str(number), "max_tokens": 50} for number in range(40)]
        results = list(both.each(client.map_completions(items, executor=executor, budget=0.4)))
    assert all(result.ok for result in results)
    assert set(server.runs.values()) == {1}
    assert max(server.requests.values()) == 2
    assert "a worker of the batch was lost" in caplog.text


def test_lost_items_are_not_run_again_on_a_server_without_keys(both: ClientKind, threads: ThreadPoolExecutor) -> None:
    with completion_server(health={"status": "ok"}) as server:
        client = both.client(server.base_url)
        results = list(both.each(client.map_completions(["a", "b"], executor=LossyExecutor(threads, 9))))
    assert {type(result.error) for result in results} == {APIConnectionError}
    assert all(result.error.outcome_unknown for result in results)
    assert server.requests == {"a": 1, "b": 1}


def test_item_that_workers_die_of_fails(both: ClientKind, threads: ThreadPoolExecutor) -> None:
    with completion_server() as server:
        client = both.client(server.base_url)
        [result] = both.each(client.map_completions(["a"], executor=LossyExecutor(threads, 99)))
    assert "lost with its worker 5 times" in str(result.error)
    assert server.runs == {"a": 1}


def test_executor_that_takes_no_work_leaves_it_to_this_process(
    both: ClientKind, caplog: pytest.LogCaptureFixture
) -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with completion_server() as server:
        client = both.client(server.base_url)
        results = list(both.each(client.map_completions([str(number) for number in range(100)], executor=executor)))
    assert sum(result.ok for result in results) == 100
    assert set(server.requests.values()) == {1}
    assert "this process runs the rest" in caplog.text


def test_items_of_a_closed_dask_client_are_run_by_this_process(
    both: ClientKind, caplog: pytest.LogCaptureFixture
) -> None:
    with completion_server() as server:
        client = both.client(server.base_url)
        results = list(both.each(client.map_completions(["a", "b"], executor=ClosingDaskExecutor())))
    assert [result.ok for result in results] == [True, True]
    assert set(server.requests.values()) == {1}
    assert "the executor is closed" in caplog.text
    assert "this process runs the rest" in caplog.text


def test_chunk_that_begins_after_the_end_knows_it() -> None:
    signal = CoordinatorSignal()
    watch = CoordinatorWatch(signal.file)
    assert not watch.has_ended()
    signal.end()
    assert watch.has_ended()
    watch.close()
    assert CoordinatorWatch(signal.file).has_ended()
    elsewhere = attrs.evolve(signal.file, directory=("another machine", 1, 1))
    assert not CoordinatorWatch(elsewhere).has_ended()


def test_leaving_the_loop_stops_the_workers_and_cancels_their_tasks(
    both: ClientKind, threads: ThreadPoolExecutor
) -> None:
    cancelled: set[str] = set()

    def handle(request: raw_http.Request) -> Any:
        if request.path.endswith("/cancel"):
            cancelled.add(request.path)
            return raw_http.response(200, responses.task("cancelled"))
        body = responses.task("running", id=f"task_{request.connection}")
        if request.method == "POST":
            with lock:
                submitted.append(request.path)
                if len(submitted) <= 4:  # what the first chunks have
                    return raw_http.response(200, responses.task())
            return raw_http.response(202, body, Preference_Applied="respond-async")
        running.add(request.path)
        enough.release()
        stop.wait(20)
        return raw_http.response(200, body)

    submitted: list[str] = []
    running: set[str] = set()
    lock = threading.Lock()
    enough, stop = threading.Semaphore(0), threading.Event()
    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        items = [f"Count {number}" for number in range(50)]
        batch = both.client(server.base_url).map_tasks(items, executor=threads, max_in_flight=4)
        results = both.each(batch)
        assert next(results).ok
        for _ in range(2):
            # The asynchronous batch goes on only while its event loop runs.
            waiting = (
                asyncio.to_thread(enough.acquire, timeout=20) if both.kind == "async" else enough.acquire(timeout=20)
            )
            assert both.call(waiting)
        both.call(batch.close() if both.kind == "sync" else batch.aclose())
        stop.set()
    assert len(cancelled) >= len(running) >= 2
    assert [thread for thread in threading.enumerate() if thread.name == "claude-code-client: worker"] == []


@pytest.mark.parametrize(
    ("options", "param", "message"),
    [
        ({"executor": "dask"}, "executor", "not str"),
        ({"worker_key": "KEY"}, "worker_key", "pass both"),
        ({"executor": ThreadPoolExecutor(1), "worker_key": KEY}, "worker_key", "never is the key"),
        ({"executor": ThreadPoolExecutor(1), "worker_key": Path("key")}, "worker_key", "must be absolute"),
        ({"executor": ThreadPoolExecutor(1), "worker_key": 5}, "worker_key", "of type int"),
    ],
)
def test_invalid_arguments(both: ClientKind, options: dict[str, Any], param: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        both.client("http://127.0.0.1:9/v1").map_completions(["a"], **options)
    assert caught.value.param == param
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("place", ["variable", "file"])
def test_workers_without_a_key_end_the_batch(both: ClientKind, threads: ThreadPoolExecutor, place: str) -> None:
    with completion_server() as server:
        worker_key = "NO_SUCH_KEY" if place == "variable" else Path("/nonexistent/key")
        batch = both.client(server.base_url).map_completions(["a"] * 50, executor=threads, worker_key=worker_key)
        with pytest.raises(AuthenticationError, match="A worker found no API key in"):
            list(both.each(batch))
    assert not server.requests


def test_workers_read_the_key_from_a_file(both: ClientKind, threads: ThreadPoolExecutor, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-proj-of-the-workers\n")
    with completion_server() as server:
        batch = both.client(server.base_url).map_completions(["a"], executor=threads, worker_key=tmp_path / "key")
        assert [result.ok for result in both.each(batch)] == [True]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # this process has threads
def test_forked_workers_do_not_keep_the_results_file_locked(tmp_path: Path) -> None:
    """A killed coordinator leaves the processes of its pool behind."""
    path = tmp_path / "out.jsonl"
    reader, writer = os.pipe()
    started, start = os.pipe()
    with completion_server() as server, ClaudeClient(KEY, server.base_url) as client:
        with client.map_completions((str(number) for number in range(10**6)), results=path) as batch:
            assert next(batch).ok
            child = os.fork()
            if child == 0:
                os.close(writer)
                os.write(start, b"1")
                os.read(reader, 1)
                os._exit(0)
            os.read(started, 1)
        for descriptor in (reader, started, start):
            os.close(descriptor)
        try:
            assert next(client.map_completions((str(number) for number in range(10**6)), results=path)).resumed
        finally:
            os.close(writer)
            os.waitpid(child, 0)


def test_processes_run_the_items_and_no_pickle_has_the_key(both: ClientKind, processes: ProcessPoolExecutor) -> None:
    executor = RecordingExecutor(processes)
    headers = {"X-Team-Secret": "sesame", "X-Team": "blue"}
    with completion_server(latency=lambda calls: 0.01) as server:
        client = both.client(server.base_url, headers=headers)
        prompts = [str(number) for number in range(100)]
        batch = client.map_completions(prompts, executor=executor, worker_key=VARIABLE, max_in_flight=8)
        assert all(result.ok for result in both.each(batch))
    assert set(server.requests.values()) == {1}
    assert len(server.connections) <= 16
    crossed = b"".join(executor.pickles)
    assert b"blue" in crossed
    assert KEY.encode() not in crossed
    assert b"sesame" not in crossed


def test_killed_process_loses_no_item(processes: ProcessPoolExecutor, caplog: pytest.LogCaptureFixture) -> None:
    """A pool whose process was killed is broken: the process of the batch runs what is left, with the same keys."""
    killed = threading.Event()

    def script(prompt: str, number: int) -> None:
        if prompt == "60" and number == 1:
            killed.wait(20)

    with (
        completion_server(script=script, latency=lambda calls: 0.01) as server,
        ClaudeClient(KEY, server.base_url) as client,
    ):
        prompts = [str(number) for number in range(200)]
        results = client.map_completions(prompts, executor=processes, worker_key=VARIABLE)
        done = [next(results) for _ in range(20)]
        os.kill(next(iter(processes._processes)), signal.SIGKILL)
        killed.set()
        done += results
    assert sorted(result.index for result in done) == list(range(200))
    assert all(result.ok for result in done)
    assert set(server.runs.values()) == {1}
    assert "this process runs the rest" in caplog.text
