"""Results of batches in other processes: what the process reports, and what its results file has."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from support.clients.client_process import ClientProcess


def results_of(worker: ClientProcess) -> Counter[str]:
    """Return how many results of each kind the process reports until it is done; print its memory."""
    kinds: Counter[str] = Counter()
    memory = []
    while (line := worker.lines.get(timeout=60)) != "done":
        assert line, "the process ended early"
        kind, _, rest = line.partition(" ")
        kinds[kind] += 1
        if kind == "rss":
            memory.append(int(rest))
    if memory:
        print("RSS in MiB, every 1000 items:", memory)
        assert max(memory) < memory[0] * 1.25 + 8
    return kinds


def indexes(path: Path) -> list[int]:
    return [json.loads(line)["index"] for line in path.read_bytes().splitlines()]
