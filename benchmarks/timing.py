"""Measuring: rounds of the compared things in turn, medians, and the CPU of a process."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import psutil

Samples = Mapping[str, list[float]]
"""Cost of one call in each round, by name."""

_TIMEOUT: Final = 90.0
"""Seconds that a process of a benchmark may take."""


def in_turn(works: Mapping[str, Callable[[], float]], rounds: int) -> Samples:
    """Return what each work measures, round by round: a busy moment of the machine meets all of them.

    Every second round goes backwards, so that none is always the one after another.
    """
    samples: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds):
        for name in [*works][:: -1 if number % 2 else 1]:
            samples[name].append(works[name]())
    return samples


def cpu_of(call: Callable[[], object], calls: int) -> Callable[[], float]:
    """Return a work that measures the CPU seconds of one call; the first call is made at once, and not measured."""
    call()

    def measure() -> float:
        start = time.process_time()
        for _ in range(calls):
            call()
        return (time.process_time() - start) / calls

    return measure


def cpu_of_process(pid: int) -> float:
    """Return the CPU seconds of another process so far; on Linux to the nanosecond, as the scheduler counts it."""
    threads = list(Path(f"/proc/{pid}/task").glob("*/schedstat"))
    if threads:
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def median(samples: Samples, name: str) -> float:
    return statistics.median(samples[name])


def ratio(samples: Samples, name: str, baseline: str) -> float:
    """Return the median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(samples[name], samples[baseline], strict=True))


def in_process(module: str, *arguments: str | float) -> dict[str, Any]:
    """Run a module of the benchmarks in a process of its own; return the JSON that it prints."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=_TIMEOUT).stdout
    result: dict[str, Any] = json.loads(output)
    return result
