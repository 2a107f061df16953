"""Profile of ``complete()``: its time by layer, as the profiler sees it.

Run as a program: ``PYTHONPATH=tests .venv-bench/bin/python -m benchmarks.layers``. The profiler makes many small
functions look dearer than they are, so the figures are good for comparing the layers, not for adding up.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from benchmarks.common import KEY
from benchmarks.loopback import loopback_server
from claude_code_client import ClaudeClient

_CALLS: Final = 2_000
_SOCKET: Final = ("_socket", "poll", "select")
_LAYERS: Final = ("h11", "httpcore", "json", "claude_code_api")
_OURS: Final = "claude_code_client"


def main() -> None:
    with loopback_server() as url, ClaudeClient(KEY, f"{url}/v1") as client:
        for _ in range(200):
            client.complete("Hello")
        profile = cProfile.Profile(time.process_time)  # waiting for the server is not the client's
        profile.enable()
        for _ in range(_CALLS):
            client.complete("Hello")
        profile.disable()
    seconds: Counter[str] = Counter()
    stats: Any = pstats.Stats(profile)
    for (file, _, function), (_, _, own, _, _) in stats.stats.items():
        seconds[_layer(file, function)] += own
    total = sum(seconds.values())
    for layer, own in seconds.most_common():
        print(f"{layer:32} {own / total:6.1%}")


def _layer(file: str, function: str) -> str:
    if any(word in function for word in _SOCKET):
        return "sockets"
    parts = Path(file).parts
    if _OURS in parts:
        below = parts[parts.index(_OURS) + 1 :]
        return f"{_OURS}/{below[0]}"
    return next((layer for layer in _LAYERS if layer in parts), "standard library and built-ins")


if __name__ == "__main__":
    main()
