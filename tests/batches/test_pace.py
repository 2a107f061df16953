"""Pace of batches: as fast as the server takes calls, and no faster than its limits and the budget allow."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clients.client_kinds import KEY, ClientKind
from support.concurrency_simulation import Latency, best_fixed, duration
from support.servers import raw_http, responses
from support.servers.completion_server import PRICES, RequestLimit, completion_server
from support.stalls import Stalls

from claude_code_client import ClaudeClient, CostExceededError
from claude_code_client._client._bulk.concurrency import START, AdaptiveConcurrency
from claude_code_client._client._bulk.rate_limit import RequestPace

SERVERS: dict[str, Latency] = {
    "latency does not depend on the load": lambda calls: 1.0,
    "latency doubles above 16 calls": lambda calls: 1.0 if calls <= 16 else 2.0,
    "10 calls at once, others wait": lambda calls: max(1.0, calls / 10),
    "one call at once": lambda calls: float(calls),
    "latency grows with every call": lambda calls: 1 + calls / 20,
    "more than 20 calls slow each other down": lambda calls: 1 + (calls / 20) ** 2,
}


@pytest.mark.parametrize("spread", [0.0, 0.5], ids=["steady", "varied"])
@pytest.mark.parametrize("name", SERVERS)
def test_adaptive_concurrency_comes_close_to_the_best_fixed_one(name: str, spread: float) -> None:
    calls, latency = 4000, SERVERS[name]
    best, _ = best_fixed(calls, latency, 32, spread=spread)
    assert duration(calls, latency, AdaptiveConcurrency(32), spread=spread) <= 1.2 * best


def test_concurrency_follows_a_server_that_changes() -> None:
    concurrency = AdaptiveConcurrency(64)
    duration(2000, lambda calls: max(1.0, calls / 50), concurrency)
    assert concurrency.limit >= 35
    duration(4000, lambda calls: (max(1.0, calls / 10)) ** 2, concurrency)
    assert concurrency.limit <= 16


def test_refused_calls_halve_the_concurrency_once() -> None:
    concurrency = AdaptiveConcurrency(64)
    duration(1000, lambda calls: 1.0, concurrency)
    before = concurrency.limit
    for _ in range(before):
        concurrency.overloaded(before)
    for _ in range(before - 1):
        concurrency.ended(0.0)
        concurrency.overloaded(before)
    assert before // 4 < concurrency.limit <= before // 2


def test_rare_refusals_do_not_change_the_concurrency() -> None:
    concurrency, undisturbed = AdaptiveConcurrency(START), AdaptiveConcurrency(START)
    for number in range(1000):
        concurrency.ended(float(number))
        undisturbed.ended(float(number))
        if number % 50 == 0:
            concurrency.overloaded(START)
        assert concurrency.limit == undisturbed.limit


@given(st.lists(st.sampled_from(["ended", "overloaded", "held"]), max_size=200), st.integers(1, 100))
def test_concurrency_stays_within_its_bounds(events: list[str], most: int) -> None:
    concurrency, now = AdaptiveConcurrency(most), 0.0
    for event in events * 5:
        now += 0.1
        match event:
            case "ended":
                concurrency.ended(now)
            case "held":
                concurrency.held_back()
            case _:
                concurrency.overloaded(concurrency.limit)
        assert 1 <= concurrency.limit <= most


def limits(left: int, reset: float, limit: int = 100) -> dict[str, str]:
    return {"x-ratelimit-limit": str(limit), "x-ratelimit-remaining": str(left), "x-ratelimit-reset": str(reset)}


def test_pace_waits_for_the_next_window_when_this_one_is_used_up() -> None:
    pace = RequestPace()
    assert pace.delay(0.0) == 0
    pace.started(0.0)
    assert pace.responded(1.0, 200, limits(2, 30))
    for now in (1.0, 2.0):
        assert pace.delay(now) == 0
        pace.started(now)
    assert pace.delay(3.0) == 28.0
    assert pace.delay(31.0) == 0


def test_pace_leaves_room_for_calls_in_flight() -> None:
    pace = RequestPace()
    for _ in range(5):
        pace.started(0.0)
    # Four are on their way: the server has counted the first one only.
    pace.responded(0.0, 200, limits(5, 30, limit=6))
    assert pace.delay(0.0) == 0
    pace.started(0.0)
    assert pace.delay(0.0) == 30


def test_pace_leaves_room_for_other_programs_with_the_key() -> None:
    pace = RequestPace()
    pace.started(0.0)
    pace.responded(0.0, 200, limits(1, 30))
    pace.started(0.0)
    assert pace.delay(0.0) == 30
    # A response that was overtaken by another one brings nothing back.
    pace.responded(1.0, 200, limits(40, 29))
    assert pace.delay(1.0) > 0


def test_pace_follows_retry_after() -> None:
    pace = RequestPace()
    assert not pace.responded(0.0, 503, {"retry-after": "7"})
    assert pace.delay(2.0) == 5.0
    assert pace.delay(7.0) == 0.0


def test_pace_learns_the_window_from_refusals_alone() -> None:
    pace = RequestPace()
    pace.started(0.0)
    pace.responded(50.0, 429, limits(0, 10))
    assert pace.delay(50.0) == 10.0
    for _ in range(99):  # and the refused one, which is sent again
        assert pace.delay(61.0) == 0
        pace.started(61.0)
    assert 58 < pace.delay(61.0) < 60  # the next window begins at 120


@pytest.mark.parametrize("value", ["", "soon", "-1", "nan"])
def test_pace_ignores_headers_that_it_cannot_read(value: str) -> None:
    pace = RequestPace()
    pace.responded(0.0, 429, {**limits(0, 10), "x-ratelimit-reset": value, "retry-after": value})
    assert pace.delay(0.0) == 0


def paced(calls: int, limit: RequestLimit, *, headers: str, latency: float = 0.4, most: int = 16) -> float:
    """Return the seconds that so many calls take at the pace, on a clock of their own; refused ones are sent again."""
    pace, now, began, in_flight = RequestPace(), 1000.0, 1000.0, 0
    events: list[tuple[float, int, bool | None, dict[str, str]]] = []
    """Time, call, and whether it was allowed; None when it arrives at the server."""
    left = deque(range(calls))
    while left or events:
        delay = pace.delay(now)
        if left and in_flight < most and delay <= 0:
            pace.started(now)
            in_flight += 1
            heapq.heappush(events, (now + latency / 2, left.popleft(), None, {}))
            continue
        waits = left and in_flight < most
        if not events or (waits and now + delay < events[0][0]):
            now += delay
            continue
        now, call, allowed, sent = heapq.heappop(events)
        if allowed is None:
            allowed, fields = limit.take(now)
            if headers == "refused" and allowed:
                fields = {}
            sent = {name.replace("_", "-").lower(): value for name, value in fields.items()}
            heapq.heappush(events, (now + latency / 2, call, allowed, sent))
            continue
        pace.responded(now, 200 if allowed else 429, sent)
        if allowed:
            in_flight -= 1
        else:
            heapq.heappush(events, (now + float(sent["retry-after"]) + latency / 2, call, None, {}))
    return now - began


@pytest.mark.parametrize("headers", ["always", "refused"])
def test_calls_take_the_least_time_that_the_limit_allows(headers: str) -> None:
    window = 60.0
    limit = RequestLimit(100, window)
    assert 2 * window < paced(300, limit, headers=headers) < 2 * window * 1.1
    assert [number for number in limit.refused if number > 1] == []
    assert len(limit.windows) == 3
    if headers == "always":
        assert limit.refused == []


@pytest.mark.slow
@pytest.mark.parametrize("headers", ["always", "refused"])
def test_rate_limit_is_used_and_not_exceeded(headers: str) -> None:
    window = 2.0
    limit = RequestLimit(100, window)
    with (
        completion_server(limit=limit, limit_headers=headers) as server,
        ClaudeClient(KEY, server.base_url) as client,
        Stalls() as stalls,
    ):
        results = list(client.map_completions((str(number) for number in range(300)), max_in_flight=16))
    assert all(result.ok for result in results)
    # A request that stalls on its way counts in the next window.
    assert [number for number in limit.refused if number > 1] == [] or stalls.seconds() > 0.1 * window
    if headers == "always":
        assert limit.refused == [] or stalls.seconds() > 0.1 * window
    # The third window takes the last 100, and none was left out. How promptly they begin is shown on a clock above.
    # A stalled machine may not fill a window.
    assert 3 <= len(limit.windows) <= 3 + stalls.allowance() // window
    assert limit.windows[-1] - limit.windows[0] < 3 * window + stalls.allowance()


@pytest.mark.slow
def test_refused_calls_slow_the_batch_down(short_backoff: None) -> None:
    lock = threading.Lock()
    active = peak = 0

    def script(prompt: str, number: int) -> Any:
        nonlocal active, peak
        with lock:
            active += 1
            peak = max(peak, active) if int(prompt) > 150 else peak
            full = active > 6
        try:
            if full:
                return raw_http.response(503, responses.error("overloaded_error"))
            time.sleep(0.005)
            return None
        finally:
            with lock:
                active -= 1

    with completion_server(script=script) as server, ClaudeClient(KEY, server.base_url, max_retries=8) as client:
        results = list(client.map_completions((str(number) for number in range(400)), max_in_flight=64))
    assert all(result.ok for result in results)
    assert peak < 40


def test_budget_holds_and_is_used(both: ClientKind) -> None:
    generator = random.Random(5)
    costs = {str(number): generator.uniform(0.01, 0.2) for number in range(60)}
    items = [{"prompt": prompt, "max_tokens": int(cost * 5000) + 1} for prompt, cost in costs.items()]
    with completion_server(prices=PRICES, cost=costs.__getitem__, latency=lambda calls: 0.003) as server:
        client = both.client(server.base_url)
        results = list(both.each(client.map_completions(items, budget=1.0, max_in_flight=32)))
    spent = sum(costs[prompt] for prompt in server.runs)
    assert len(results) == 60
    assert 0.9 <= spent <= 1.0
    refused = [result for result in results if not result.ok]
    assert {type(result.error) for result in refused} == {CostExceededError}
    assert sum(result.cost for result in results) == pytest.approx(spent)


def test_budget_counts_earlier_runs_and_the_client_s_own(both: ClientKind, tmp_path: Any) -> None:
    path = tmp_path / "out.jsonl"
    items = [{"prompt": str(number), "max_tokens": 500} for number in range(20)]
    with completion_server(prices=PRICES, cost=lambda prompt: 0.1) as server:
        client = both.client(server.base_url)
        first = list(both.each(client.map_completions(items, budget=0.5, results=path)))
        assert sum(result.ok for result in first) == 5
        second = list(both.each(client.map_completions(items, budget=0.8, results=path)))
        assert sum(result.ok for result in second) == 8
        with client.budget(usd=0.2) as budget:
            third = list(both.each(client.map_completions(items, results=path)))
            assert sum(result.ok for result in third) == 10
            assert budget.spent == pytest.approx(0.2)
            assert budget.reserved == 0
