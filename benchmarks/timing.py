"""Median times, and their report as ratios: each figure is compared with a baseline of the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Return the median seconds of one round."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def report(name: str, measured: float, baseline: float, than: str) -> None:
    """Print a time (seconds) and its ratio to a baseline."""
    print(f"{name:42} {measured * 1000:9.3f} ms   {measured / baseline:6.2f} of {than} ({baseline * 1000:.3f} ms)")
