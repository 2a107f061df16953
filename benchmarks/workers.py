"""Throughput of a batch by its workers, and the CPU of an item: `python -m benchmarks.workers`, on a quiet machine.

Two servers: one that responds at once, so that the client's CPU is what limits, and one that takes half a second, as a
model does at best. Writes `results/workers.json`; `scripts/batch_model.py` makes the figure and the model from it.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, Final

import psutil

from benchmarks.common import KEY
from claude_code_client import ClaudeClient

RESULTS: Final = Path(__file__).with_name("results") / "workers.json"
WORKERS: Final = (0, 1, 2, 4)
"""Worker processes; 0 is a batch in one process."""
IN_FLIGHT: Final = 64
ITEMS: Final = {0.0: 4500, 0.5: 750}
"""Items by the seconds that the server takes."""

_VARIABLE: Final = "BENCHMARK_WORKER_KEY"
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: (\d+)")
_USAGE: Final = {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17, "cost": 0.0}
_COMPLETION: Final = {
    "id": "cmpl_1",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "text", "text": "Python is a language."}],
    "model": "claude-sonnet-5-5",
    "stop_reason": "end_turn",
    "usage": _USAGE,
}


def measure(seconds: float, workers: int) -> dict[str, float]:
    """Return the throughput in the last two thirds of a batch, and the CPU of an item here and in the workers."""
    count = ITEMS[seconds]
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) if workers else None
    with server(seconds) as url, ClaudeClient(KEY, url) as client:
        options: dict[str, Any] = {"executor": pool, "worker_key": _VARIABLE} if pool else {}
        for _ in client.map_completions(map(str, range(100)), max_in_flight=IN_FLIGHT, **options):
            pass  # processes have started, and connections are open
        here, processes, since = time.process_time(), _cpu(pool), 0.0
        for done, result in enumerate(
            client.map_completions(map(str, range(count)), max_in_flight=IN_FLIGHT, **options)
        ):
            result.unwrap()
            if done == count // 3:
                since = time.monotonic()
        elapsed = time.monotonic() - since
        here, processes = time.process_time() - here, _cpu(pool) - processes
    if pool is not None:
        pool.shutdown()
    return {
        "items_per_second": round((count - count // 3) / elapsed),
        "cpu_here": round(here / count, 6),
        "cpu_in_workers": round(processes / count, 6),
    }


def _cpu(pool: ProcessPoolExecutor | None) -> float:
    used = [psutil.Process(pid).cpu_times() for pid in ([] if pool is None else pool._processes)]
    return sum(times.user + times.system for times in used)


@contextmanager
def server(seconds: float) -> Iterator[str]:
    """Run the server in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.workers", "serve", str(seconds)]
    with Popen(command, stdout=PIPE, stdin=PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        process.terminate()


class _Responder(asyncio.Protocol):
    """Connection that responds to each whole request, some seconds after it has arrived."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._data = b""
        body = json.dumps(_COMPLETION).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._response = head.encode() + body

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, rest = self._data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if found and len(rest) >= (int(length[1]) if length else 0):
            self._data = b""
            asyncio.get_running_loop().call_later(self._seconds, self._respond)

    def _respond(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._response)


async def _serve(seconds: float) -> None:
    listener = await asyncio.get_running_loop().create_server(lambda: _Responder(seconds), "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


def main() -> None:
    """Measure, and write the results."""
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(_serve(float(sys.argv[2])))
        return
    os.environ[_VARIABLE] = KEY
    rows = []
    for seconds in ITEMS:
        for workers in WORKERS:
            rows.append({"server_seconds": seconds, "workers": workers, **measure(seconds, workers)})
            print(rows[-1], file=sys.stderr)
    facts = {"processors": os.cpu_count(), "max_in_flight": IN_FLIGHT, "rows": rows}
    RESULTS.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
