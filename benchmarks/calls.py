"""CPU that calls cost the client's process, one at a time and many at a time, as ratios to httpx."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Final

import httpx
from claude_code_api.api.completions import create_completion
from claude_code_api.models import CreateCompletionRequest

from benchmarks.loopback import loopback_server
from claude_code_client import AsyncClaudeClient, ClaudeClient

KEY: Final = "sk-proj-bench"
BODY: Final = {"messages": [{"role": "user", "content": "Hello"}]}
ROUNDS: Final = 5


def cpu_per_call(call: Callable[[], object], calls: int = 400) -> float:
    """Return the median over some rounds of the CPU seconds of one call."""
    call()
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(calls):
            call()
        rounds.append((time.process_time() - start) / calls)
    return statistics.median(rounds)


async def cpu_in_flight(call: Callable[[], Awaitable[object]], in_flight: int, calls: int) -> float:
    """Return the same for coroutines of which ``in_flight`` run at a time."""

    async def several(number: int) -> None:
        for _ in range(number):
            await call()

    async def round_(number: int) -> None:
        await asyncio.gather(*(several(max(number // in_flight, 1)) for _ in range(in_flight)))

    await round_(in_flight)
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        await round_(calls)
        rounds.append((time.process_time() - start) / max(calls, in_flight))
    return statistics.median(rounds)


def report(name: str, measured: float, baseline: float, than: str) -> None:
    print(f"{name:42} {measured * 1e6:8.0f} µs   {measured / baseline:6.2f} of {than} ({baseline * 1e6:.0f} µs)")


def bench_one_at_a_time(url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False) as http, ClaudeClient(KEY, url) as client:
        baseline = cpu_per_call(lambda: http.post("/chat/completions", json=BODY).json())
        report("complete()", cpu_per_call(lambda: client.complete("Hello")), baseline, "httpx.Client.post")
        body = CreateCompletionRequest.from_dict(BODY)
        endpoint = cpu_per_call(lambda: create_completion.sync(client=client.api, body=body))
        report("client.api", endpoint, baseline, "the same")


async def bench_in_flight(url: str) -> None:
    alone = 0.0
    for in_flight, calls in ((1, 400), (10, 1000), (100, 1000), (500, 1000)):
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with (
            httpx.AsyncClient(base_url=url, trust_env=False, limits=limits, timeout=60) as http,
            AsyncClaudeClient(KEY, url) as client,
        ):
            baseline = await cpu_in_flight(lambda: http.post("/chat/completions", json=BODY), in_flight, calls)
            measured = await cpu_in_flight(lambda: client.complete("Hello"), in_flight, calls)
        alone = alone or measured
        report(f"async complete(), {in_flight} in flight", measured, baseline, "httpx.AsyncClient.post")
        print(f"{'':42} {measured / alone:26.2f} of one in flight")


async def bench_tasks_in_flight(url: str, hold: float) -> None:
    per_task: dict[int, float] = {}
    for in_flight in (100, 1000):
        async with AsyncClaudeClient(KEY, url) as client:
            started, cpu = time.monotonic(), time.process_time()
            await asyncio.gather(*(client.execute_task("Count") for _ in range(in_flight)))
            per_task[in_flight] = (time.process_time() - cpu) / in_flight
            wall = time.monotonic() - started
        ratio = per_task[in_flight] / per_task[100]
        name = f"{in_flight} execute_task() in flight"
        end = f"{ratio:6.2f} of 100 in flight; {wall:.1f} s, each held {hold:g} s"
        print(f"{name:42} {per_task[in_flight] * 1e6:8.0f} µs   {end}")


def bench_calls(hold: float = 6.0) -> None:
    with loopback_server() as url:
        bench_one_at_a_time(url)
        asyncio.run(bench_in_flight(url))
    with loopback_server(hold) as url:
        asyncio.run(bench_tasks_in_flight(url, hold))
