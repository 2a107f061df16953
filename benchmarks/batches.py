"""Time of a batch of completions on the embedded server, against a loop of the same calls that is written by hand."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.offline_server import offline_server
from benchmarks.rows import Chart, Row
from benchmarks.timing import median, ratio
from claude_code_client import AsyncClaudeClient
from claude_code_client._client.local_server import LocalServer

_LOOP: Final = "asyncio loop"
_BATCH: Final = "map_completions()"
_STORED: Final = f"{_BATCH}, with a results file"

_IN_FLIGHT: Final = 32
_ROUNDS: Final = 5
_ITEMS: Final = 250
"""Items of a round: the beginning and the end of a batch count too."""


def bench_batches() -> tuple[list[Row], list[Chart]]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        local = stack.enter_context(offline_server(folder))
        samples = asyncio.run(_measure(local, Path(folder)))
    baseline = f"{_LOOP}, {_IN_FLIGHT} in flight ({median(samples, _LOOP) * 1e6:.0f} µs an item)"
    return [Row(name, ratio(samples, name, _LOOP), "", baseline, 1.10) for name in (_BATCH, _STORED)], []


async def _measure(local: LocalServer, folder: Path) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {name: [] for name in (_LOOP, _BATCH, _STORED)}
    orders = itertools.cycle(itertools.permutations(samples))
    async with AsyncClaudeClient(local.api_key, local.base_url) as client:
        await _by_hand(client)
        for number in range(_ROUNDS):
            # The order changes: the server has more to keep each time.
            for name in next(orders):
                start = time.monotonic()
                if name == _LOOP:
                    await _by_hand(client)
                else:
                    await _as_batch(client, folder / f"{number}.jsonl" if name == _STORED else None)
                samples[name].append((time.monotonic() - start) / _ITEMS)
    return samples


async def _by_hand(client: AsyncClaudeClient) -> None:
    numbers = iter(range(_ITEMS))

    async def work() -> None:
        for number in numbers:
            await client.complete(f"Say {number}")

    await asyncio.gather(*(work() for _ in range(_IN_FLIGHT)))


async def _as_batch(client: AsyncClaudeClient, results: Path | None) -> None:
    prompts = (f"Say {number}" for number in range(_ITEMS))
    async with client.map_completions(prompts, max_in_flight=_IN_FLIGHT, results=results) as batch:
        async for result in batch:
            result.unwrap()
