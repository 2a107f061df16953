"""Throughput of batches over real connections: beside a loop written by hand, and beside fixed concurrencies.

What is compared takes turns, in changing order, and the best turn of each counts: other work on the machine, and a
server that has more to keep with every turn, make turns slower, and none faster.
"""

from __future__ import annotations

import asyncio
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


def best(base_url: str, kinds: dict[str, Callable[[int], Run]], turns: int) -> dict[str, float]:
    """Return the seconds of the best turn of each kind of run. A run is made from the number of its turn."""
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    names = list(kinds)
    for turn in range(turns):
        for name in names:
            taken[name].append(seconds(base_url, kinds[name](turn)))
        names = [*names[1:], names[0]] if turn % 2 else names[::-1]
    print({name: [f"{each:.2f}" for each in times] for name, times in taken.items()})
    return {name: min(times) for name, times in taken.items()}


def test_a_batch_is_about_as_fast_as_a_loop(tmp_path: Path) -> None:
    """With latencies like those of a network, so that the machine's other work counts little."""
    count, workers = 4000, 32  # enough that finding the number of calls in flight counts little
    with completion_server(latency=lambda calls: 0.1) as server:
        taken = best(
            server.base_url,
            {
                "loop": lambda turn: by_hand(f"loop {turn}", count, workers),
                "batch": lambda turn: as_batch(f"batch {turn}", count, workers),
                "stored": lambda turn: as_batch(f"stored {turn}", count, workers, tmp_path / f"{turn}.jsonl"),
            },
            turns=2,
        )
    assert max(taken["batch"], taken["stored"]) < 1.1 * taken["loop"]


@pytest.mark.parametrize("workers", [8, 32])
def test_a_batch_beside_a_loop_on_the_embedded_server(tmp_path: Path, workers: int) -> None:
    """One server process on the same machine: what is measured is mostly its CPU."""
    count = 500
    with server_process(tmp_path, api_keys=[KEY]) as server:
        taken = best(
            server.base_url,
            {
                "loop": lambda turn: by_hand(f"loop {turn}", count, workers),
                "batch": lambda turn: as_batch(f"batch {turn}", count, workers),
            },
            turns=8,
        )
    assert taken["batch"] < 1.15 * taken["loop"]


def test_adaptive_concurrency_over_connections() -> None:
    """The latency doubles above 12 calls, and grows further with the load."""

    def latency(calls: int) -> float:
        return 0.03 if calls <= 12 else 0.06 * calls / 24

    def fixed(most: int) -> Callable[[int], Run]:
        return lambda turn: by_hand(f"fixed {most} {turn}", count, most)

    count = 1500
    kinds = {f"fixed {most}": fixed(most) for most in (6, 12, 24, 32)}
    with completion_server(latency=latency) as server:
        taken = best(
            server.base_url, {**kinds, "adaptive": lambda turn: as_batch(f"adaptive {turn}", count, 32)}, turns=2
        )
    assert taken["adaptive"] < 1.2 * min(taken[name] for name in kinds)
