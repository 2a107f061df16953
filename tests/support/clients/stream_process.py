"""A process of its own that follows one task to its end, and says how many events came and what memory they took."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from typing import Any

import psutil

from claude_code_client import AsyncClaudeClient, ClaudeClient

KEY = "sk-proj-test-key"
WARM_UP = 10_000
"""Events after which the memory counts."""
SAMPLE = 5_000
TIMEOUT = 600.0


def run_stream(kind: str, base_url: str) -> dict[str, Any]:
    """Run it; gives what it says."""
    ran = subprocess.run([sys.executable, __file__, kind, base_url], capture_output=True, text=True, timeout=TIMEOUT)
    assert ran.returncode == 0, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


class Tally:
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

    def said(self) -> str:
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
    print(synchronous(base_url).said() if kind == "sync" else asyncio.run(asynchronous(base_url)).said())
