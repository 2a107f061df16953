"""Throughput of batches over real connections: beside a loop written by hand, and beside fixed concurrencies."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from support.clients.client_kinds import KEY
from support.servers.completion_server import completion_server
from support.servers.server_process import server_process

from claude_code_client import AsyncClaudeClient

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

Run = Callable[[AsyncClaudeClient], Awaitable[None]]


def by_hand(name: str, count: int, workers: int) -> Run:
    """Return completions by as many coroutines as there may be calls in flight."""

    async def run(client: AsyncClaudeClient) -> None:
        numbers = iter(range(count))

        async def work() -> None:
            for number in numbers:
                await client.complete(f"{name} {number}")

        await asyncio.gather(*(work() for _ in range(workers)))

    return run


def as_batch(name: str, count: int, most: int, results: Path | None = None) -> Run:
    """Return the same completions as a batch."""

    async def run(client: AsyncClaudeClient) -> None:
        prompts = (f"{name} {number}" for number in range(count))
        async with client.map_completions(prompts, max_in_flight=most, results=results) as batch:
            assert [result.ok async for result in batch] == [True] * count

    return run


def seconds(base_url: str, run: Run) -> float:
    """Return the seconds that a run takes, on warm connections."""

    async def timed() -> float:
        async with AsyncClaudeClient(KEY, base_url) as client:
            await client.complete("warm")
            began = time.monotonic()
            await run(client)
            return time.monotonic() - began

    return asyncio.run(timed())


def test_a_batch_is_about_as_fast_as_a_loop(tmp_path: Path) -> None:
    """With latencies like those of a network, so that the machine's other work counts little."""
    count, workers = 4000, 32
    with completion_server(latency=lambda calls: 0.1) as server:
        loop = seconds(server.base_url, by_hand("loop", count, workers))
        batch = seconds(server.base_url, as_batch("batch", count, workers))
        stored = seconds(server.base_url, as_batch("stored", count, workers, tmp_path / "out.jsonl"))
    print(f"{count} items: loop {loop:.2f} s, batch {batch:.2f} s, with a results file {stored:.2f} s")
    assert max(batch, stored) < 1.1 * loop


@pytest.mark.parametrize("workers", [8, 32])
def test_a_batch_beside_a_loop_on_the_embedded_server(tmp_path: Path, workers: int) -> None:
    """One server process on the same machine: what is measured is mostly its CPU, and chance."""
    count, ratios = 1000, []
    with server_process(tmp_path, api_keys=[KEY]) as server:
        for turn in range(5):
            # In both orders: what comes later finds a server with more to keep.
            runs = {"loop": by_hand(f"a{turn}", count, workers), "batch": as_batch(f"b{turn}", count, workers)}
            names = list(runs) if turn % 2 else list(runs)[::-1]
            taken = {name: seconds(server.base_url, runs[name]) for name in names}
            ratios.append(taken["batch"] / taken["loop"])
    print(f"{workers} in flight: batch / loop", [f"{ratio:.2f}" for ratio in ratios])
    assert statistics.median(ratios) < 1.15


def test_adaptive_concurrency_over_connections() -> None:
    """The latency doubles above 12 calls, and grows further with the load."""

    def latency(calls: int) -> float:
        return 0.03 if calls <= 12 else 0.06 * calls / 24

    count = 3000
    with completion_server(latency=latency) as server:
        fixed = {most: seconds(server.base_url, by_hand(f"fixed {most}", count, most)) for most in (6, 12, 24, 32)}
        adaptive = seconds(server.base_url, as_batch("adaptive", count, 32))
    print(f"fixed: {fixed}, adaptive: {adaptive:.2f} s")
    assert adaptive < 1.2 * min(fixed.values())
