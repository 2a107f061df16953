"""Process that streams one task to its end and reports the number of events, the time and the memory growth."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from typing import Any

import psutil

from claude_code_client import AsyncClaudeClient, ClaudeClient
from support.clients import program
from support.clients.client_kinds import KEY

WARM_UP = 10_000
"""Events before memory is measured."""
SAMPLE = 5_000
"""Events between two measurements."""
TIMEOUT = 600.0


def run_stream(kind: str, base_url: str) -> dict[str, Any]:
    """Run the process and return its report."""
    command = program.command("support.clients.stream_process", kind, base_url)
    ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env=program.environment())
    assert ran.returncode == 0, ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


class Tally:
    """Counts of one stream."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._start = time.perf_counter()
        self._first = self._most = 0
        self.events = 0

    def count(self, event: dict[str, Any]) -> None:
        self.events += 1
        assert event["content"] == str(self.events), (event, self.events)
        if self.events >= WARM_UP and self.events % SAMPLE == 0:
            self._most = max(self._most, self._process.memory_info().rss)
            self._first = self._first or self._most

    def report(self) -> str:
        took = time.perf_counter() - self._start
        return json.dumps({"events": self.events, "seconds": took, "grown": self._most - self._first})


def synchronous(base_url: str) -> Tally:
    tally = Tally()
    with ClaudeClient(KEY, base_url) as client:
        for event in client.stream_task("Count", timeout=TIMEOUT):
            tally.count(dict(event))
    return tally


async def asynchronous(base_url: str) -> Tally:
    tally = Tally()
    async with AsyncClaudeClient(KEY, base_url) as client:
        async for event in client.stream_task("Count", timeout=TIMEOUT):
            tally.count(dict(event))
    return tally


if __name__ == "__main__":
    _, kind, base_url = sys.argv
    print(synchronous(base_url).report() if kind == "sync" else asyncio.run(asynchronous(base_url)).report())
