"""Cost of decoding event streams, as ratios to json.loads on the same data."""

from __future__ import annotations

import json
from collections.abc import Callable

from benchmarks.timing import report, seconds
from claude_code_common.sse import EventDecoder


def split_chunks(stream: bytes) -> list[bytes]:
    """Split a stream into chunks, as a connection delivers it."""
    return [stream[start : start + 65536] for start in range(0, len(stream), 65536)]


def decoding(stream: bytes) -> Callable[[], None]:
    """Return a function that decodes the events of a stream, and their JSON."""
    chunks = split_chunks(stream)

    def decode() -> None:
        decoder = EventDecoder()
        for chunk in chunks:
            for event in decoder.feed(chunk):
                json.loads(event.data)

    return decode


def event(data: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"id: 1\nevent: tool_result\n{lines}\n".encode()


def bench_stream() -> None:
    def bench(name: str, value: object, count: int = 1, *, indent: int | None = None) -> None:
        data = json.dumps(value, ensure_ascii=False, indent=indent)
        body = data.encode()
        baseline = seconds(lambda: [json.loads(body) for _ in range(count)], 15)
        report(name, seconds(decoding(event(data) * count), 15), baseline, "json.loads")

    bench("1000 small events", {"type": "thinking", "content": "Let me see."}, 1000)
    for size in (8, 16, 32):
        bench(f"one event of {size} MB", {"type": "tool_result", "result": "x" * size * 1_000_000})
    bench("8 MB, not ASCII", {"type": "tool_result", "result": "é€" * 1_600_000})
    bench("8 MB, in 250,000 lines", {"type": "tool_result", "result": ["x" * 26] * 250_000}, indent=1)
