"""CPU, time and memory of ``execute_task`` with many in flight, while the server holds each long poll for 6 seconds.

Run as a program, it makes the calls: its arguments are the server's URL and the number of calls in flight.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from typing import Any, Final

import psutil

from benchmarks.common import KEY
from benchmarks.loopback import loopback_server
from benchmarks.open_files import raise_limit
from benchmarks.rows import Chart, Row
from benchmarks.timing import in_process
from claude_code_client import AsyncClaudeClient

HOLD: Final = 6.0

_FEW, _MANY, _MOST = 100, 1_000, 5_000
_OTHER_FILES: Final = 100
"""Files that a process has open besides its connections."""


def bench_tasks() -> tuple[list[Row], list[Chart]]:
    with loopback_server(HOLD) as url:
        few, many = in_process("tasks", url, _FEW), in_process("tasks", url, _MANY)
        limit = raise_limit()
        most: dict[str, Any] | None = None
        why = f"the limit of open files is {limit}"
        if limit >= _MOST + _OTHER_FILES:
            try:
                most = in_process("tasks", url, _MOST)
            except subprocess.TimeoutExpired as error:
                why = f"not done after {error.timeout:.0f} s"
    growth = many["cpu"] / few["cpu"]
    held = f"each long poll held {HOLD:g} s"
    rows = [
        Row(
            f"{_MANY:,} execute_task() in flight: CPU a task",
            growth,
            "",
            f"{_FEW} in flight ({few['cpu'] * 1e3:.2f} ms)",
            1.3,
        ),
        Row(f"{_MANY:,} execute_task() in flight: wall", many["wall"], "s", held, 8.0),
    ]
    what = f"{_MOST:,} execute_task() in flight: memory a task"
    if most is None:
        return [*rows, Row(what, None, "KB", why, 40.0)], []
    return [*rows, Row(what, most["kilobytes"], "KB", f"all done in {most['wall']:.1f} s, {held}", 40.0)], []


async def _calls(url: str, in_flight: int) -> dict[str, float]:
    process = psutil.Process()
    async with AsyncClaudeClient(KEY, f"{url}/v1", timeout=90) as client:
        await client.complete("Hello")  # what is imported and made once
        before, cpu, start = process.memory_info().rss, time.process_time(), time.monotonic()
        running = asyncio.gather(*(client.execute_task("Count") for _ in range(in_flight)))
        most = before
        while not running.done():
            await asyncio.wait({running}, timeout=0.25)
            most = max(most, process.memory_info().rss)
        ended = await running
        assert all(task.status == "completed" for task in ended)
        return {
            "cpu": (time.process_time() - cpu) / in_flight,
            "wall": time.monotonic() - start,
            "kilobytes": (most - before) / in_flight / 1e3,
        }


if __name__ == "__main__":
    raise_limit()
    print(json.dumps(asyncio.run(_calls(sys.argv[1], int(sys.argv[2])))))
