"""Decisions of a batch's coordinator: sizes of chunks, and the throughput of all workers in the order of time."""

from __future__ import annotations

import heapq
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_code_client._client._bulk.concurrency import AdaptiveConcurrency
from claude_code_client._client._bulk.rate_limit import RequestPace
from claude_code_client._client._bulk.workers.sizing import MOST_ITEMS, ChunkSizing
from claude_code_client._client._bulk.workers.throughput_feed import ThroughputFeed


def slots_found(workers: int, chunks: int, seconds: float = 1.0) -> ChunkSizing:
    """Return the sizing after chunks that take some seconds each, on workers that take them one after the other."""
    sizing, now = ChunkSizing(1024), 0.0
    free = [(0.0, f"worker {number}") for number in range(workers)]
    out: list[tuple[float, float, float, str]] = []
    for _ in range(chunks):
        while len(out) < sizing.slots:
            ready, worker = heapq.heappop(free)
            began = max(ready, now)
            heapq.heappush(free, (began + seconds, worker))
            heapq.heappush(out, (began + seconds, now, began, worker))
        now, sent, began, worker = heapq.heappop(out)
        sizing.note(worker, waited=began - sent, seconds=seconds, latency=0.1, is_starting=False)
    return sizing


@pytest.mark.parametrize("workers", [1, 2, 4, 16, 64])
def test_number_of_workers_is_found_from_the_reports(workers: int) -> None:
    assert workers <= slots_found(workers, 40 * workers + 60).slots <= workers + 1


def test_chunks_are_short_while_the_number_of_calls_is_being_found() -> None:
    sizing = ChunkSizing(8)
    assert sizing.items(4) == 4
    sizing.note("a", waited=0.0, seconds=0.2, latency=0.05, is_starting=True)
    assert sizing.seconds == 0.25
    assert sizing.items(4) == 20
    sizing.note("a", waited=0.0, seconds=0.2, latency=0.05, is_starting=False)
    assert sizing.seconds == 1.0
    assert sizing.items(4) == 80


@pytest.mark.parametrize(("latency", "seconds"), [(0.001, 1.0), (0.5, 4.0), (10.0, 30.0), (300.0, 30.0)])
def test_chunks_last_several_calls_within_limits(latency: float, seconds: float) -> None:
    sizing = ChunkSizing(8)
    sizing.note("a", waited=0.0, seconds=1.0, latency=latency, is_starting=False)
    assert sizing.seconds == seconds
    assert 16 <= sizing.items(16) <= MOST_ITEMS


class Recorder(AdaptiveConcurrency):
    """Concurrency that keeps the times it is told."""

    def ended(self, now: float) -> None:
        times.append(now)
        super().ended(now)


times: list[float] = []


@pytest.mark.slow
@given(st.lists(st.tuples(st.floats(0.1, 3), st.integers(1, 5)), min_size=1, max_size=30), st.integers(1, 4))
def test_ends_of_calls_are_counted_once_and_in_the_order_of_time(chunks: list[tuple[float, int]], workers: int) -> None:
    times.clear()
    feed = ThroughputFeed(Recorder(1))
    expected = []
    waiting = iter(chunks)
    running: list[tuple[float, float, int]] = []
    now = 0.0
    for seconds, count in itertools.islice(waiting, workers):
        heapq.heappush(running, (seconds, now, count))
    while running:
        now, sent, count = heapq.heappop(running)
        following = next(waiting, None)
        if following is not None:
            heapq.heappush(running, (now + following[0], now, following[1]))
        ends = [sent + (now - sent) * (number + 1) / count for number in range(count)]
        expected += ends
        feed.report(ends, [(begun, 1) for _, begun, _ in running], now)
    assert times == sorted(expected)


def test_calls_under_an_earlier_limit_are_not_counted() -> None:
    times.clear()
    concurrency = Recorder(8)
    feed = ThroughputFeed(concurrency)
    feed.limit_changed()
    feed.report([1.0, 2.0], [(0.0, 3)], 2.0)
    assert times == []
    feed.report([2.5], [(2.0, concurrency.limit)], 3.0)
    feed.report([2.8, 3.5], [], 4.0)
    assert times == [3.5]


def test_calls_that_were_not_started_can_start_later() -> None:
    pace = RequestPace()
    headers = {"x-ratelimit-limit": "3", "x-ratelimit-remaining": "2", "x-ratelimit-reset": "30"}
    pace.started(0.0)
    assert pace.time_left(0.0) == math.inf
    pace.responded(0.0, 200, headers)
    assert pace.time_left(10.0) == 20.0
    pace.started(1.0)
    pace.started(1.0)
    assert pace.delay(1.0) > 0
    pace.unused(1)
    assert pace.delay(1.0) == 0
