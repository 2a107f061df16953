"""Growth of a process that makes 20,000 calls on one client. Run as a program: its argument is the server's URL."""

from __future__ import annotations

import gc
import json
import sys

import psutil

from benchmarks.common import KEY
from claude_code_client import ClaudeClient


def main(url: str) -> None:
    process = psutil.Process()
    with ClaudeClient(KEY, f"{url}/v1") as client:
        for _ in range(2_000):
            client.complete("Hello")
        gc.collect()
        before = process.memory_info().rss
        for _ in range(20_000):
            client.complete("Hello")
        gc.collect()
        print(json.dumps({"megabytes": (process.memory_info().rss - before) / 1e6}))


if __name__ == "__main__":
    main(sys.argv[1])
