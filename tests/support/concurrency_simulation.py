"""Simulation of calls to a server whose latency depends on how many it has at once, on a clock of its own."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

from claude_code_client._client._bulk.concurrency import AdaptiveConcurrency

Latency = Callable[[int], float]
"""Seconds that a call takes, by the calls that are in flight when it starts."""


def duration(calls: int, latency: Latency, limit: AdaptiveConcurrency | int, *, spread: float = 0.0) -> float:
    """Return the seconds that it takes to run calls, at a fixed or an adaptive limit; latencies vary by ``spread``."""
    generator = random.Random(1)
    now, started, running = 0.0, 0, list[float]()
    while started < calls or running:
        allowed = limit if isinstance(limit, int) else limit.limit
        while started < calls and len(running) < allowed:
            varied = latency(len(running) + 1) * generator.uniform(1 - spread, 1 + spread)
            heapq.heappush(running, now + varied)
            started += 1
        now = heapq.heappop(running)
        if isinstance(limit, AdaptiveConcurrency):
            limit.ended(now)
    return now


def best_fixed(calls: int, latency: Latency, most: int, *, spread: float = 0.0) -> tuple[float, int]:
    """Return the least duration that a fixed limit of several sizes takes, and that limit."""
    limits = [limit for limit in (1, 2, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64) if limit <= most]
    return min((duration(calls, latency, limit, spread=spread), limit) for limit in limits)
