"""CPU of a thousand streams that one asynchronous client follows at once, with an event a second each.

Run as a program, it follows the streams: its arguments are the server's URL and their number.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Final

from benchmarks.common import KEY
from benchmarks.loopback import PACED, loopback_server
from benchmarks.open_files import raise_limit
from benchmarks.rows import Chart, Row
from benchmarks.timing import in_process
from claude_code_client import AsyncClaudeClient

_STREAMS: Final = 1_000
_WINDOW: Final = 4.0
"""Seconds over which the CPU is measured."""


def bench_followers() -> tuple[list[Row], list[Chart]]:
    with loopback_server() as url:
        followed = in_process("followers", url, _STREAMS)
    what = f"{_STREAMS:,} streams at once, an event a second each"
    return [Row(what, followed["cores"], "cores", f"{followed['events']:,} events in {_WINDOW:g} s", 0.5)], []


async def _follow(url: str, streams: int) -> dict[str, float]:
    received = [0] * streams
    all_open = asyncio.Event()

    async def follow(client: AsyncClaudeClient, number: int) -> None:
        async for _ in client.stream_events(f"{PACED}_{number}"):
            received[number] += 1
            if received[number] == 1 and all(received):
                all_open.set()

    async with AsyncClaudeClient(KEY, f"{url}/v1") as client:
        following = [asyncio.create_task(follow(client, number)) for number in range(streams)]
        await asyncio.wait_for(all_open.wait(), 30)
        events, cpu, start = sum(received), time.process_time(), time.monotonic()
        await asyncio.sleep(_WINDOW)
        seconds = time.monotonic() - start
        figures = {"cores": (time.process_time() - cpu) / seconds, "events": sum(received) - events}
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
    return figures


if __name__ == "__main__":
    raise_limit()
    print(json.dumps(asyncio.run(_follow(sys.argv[1], int(sys.argv[2])))))
