"""Events per CPU second of a stream, with decoded JSON: this library's, and those of other clients."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import chain
from typing import Any, Final

import anthropic
import openai

from benchmarks.common import BODY, KEY
from benchmarks.loopback import EVENTS, loopback_server, task_events
from benchmarks.rows import Bar, Chart, Row
from benchmarks.timing import cpu_of, in_turn, median, ratio
from claude_code_client import ClaudeClient
from claude_code_common.sse import EventDecoder

_SPLIT: Final = "split + json.loads"
_OURS: Final = "stream_task()"
_ROUNDS: Final = 5
_LARGE: Final = 8_000_000
"""Bytes of a large event."""
_CHUNK: Final = 64 * 1024


def bench_streams() -> tuple[list[Row], list[Chart]]:
    with loopback_server() as url, ExitStack() as stack:
        samples = in_turn(_readers(url, stack), _ROUNDS)
        peers = in_turn(_peers(url, stack), 1)
    speed = {name: 1 / statistics.median(rounds) for name, rounds in {**samples, **peers}.items()}
    # Events per second, so the other way around than seconds per event.
    row = Row(
        f"{_OURS}: events/s",
        ratio(samples, _SPLIT, _OURS),
        "",
        f"{_SPLIT} ({speed[_SPLIT]:,.0f} events/s)",
        0.80,
        at_least=True,
    )
    bars = [Bar(name, speed[name] / 1e3, ours=name == _OURS) for name in sorted(speed, key=lambda name: -speed[name])]
    return [row, _large_event()], [Chart("Small events per CPU second, in thousands", "", bars)]


def _large_event() -> Row:
    data = json.dumps({"type": "tool_result", "result": "x" * _LARGE})
    stream = f"id: 1\ndata: {data}\n\n".encode()
    chunks = [stream[start : start + _CHUNK] for start in range(0, len(stream), _CHUNK)]

    def decode() -> None:
        decoder = EventDecoder()
        [event] = chain.from_iterable(map(decoder.feed, chunks))
        json.loads(event.data)

    parse = cpu_of(lambda: json.loads(data), 1)
    samples = in_turn({"decode": cpu_of(decode, 1), "parse": parse}, _ROUNDS)
    baseline = f"json.loads ({median(samples, 'parse') * 1e3:.0f} ms)"
    return Row("an event of 8 MB: decoding and parsing", ratio(samples, "decode", "parse"), "", baseline, 5.0)


def _readers(url: str, stack: ExitStack) -> dict[str, Callable[[], float]]:
    client = stack.enter_context(ClaudeClient(KEY, f"{url}/v1"))
    stream = task_events()

    def split() -> int:
        return sum(1 for part in stream.split(b"\n\n") if part and json.loads(part[part.index(b"data: ") + 6 :]))

    return {_SPLIT: _cpu_of_event(split), _OURS: _cpu_of_event(lambda: sum(1 for _ in client.stream_task("Count")))}


def _peers(url: str, stack: ExitStack) -> dict[str, Callable[[], float]]:
    """Return readers of as many events in the other clients' own formats."""
    openai_client = stack.enter_context(openai.OpenAI(api_key=KEY, base_url=f"{url}/openai"))
    anthropic_client = stack.enter_context(anthropic.Anthropic(api_key=KEY, base_url=f"{url}/anthropic"))
    messages: Any = BODY["messages"]

    def with_openai() -> int:
        return sum(1 for _ in openai_client.chat.completions.create(model="m", messages=messages, stream=True))

    def with_anthropic() -> int:
        created = anthropic_client.messages.create(model="m", max_tokens=10, messages=messages, stream=True)
        return sum(1 for _ in created)

    return {"anthropic": _cpu_of_event(with_anthropic), "openai": _cpu_of_event(with_openai)}


def _cpu_of_event(read: Callable[[], int]) -> Callable[[], float]:
    def measure() -> float:
        start = time.process_time()
        received = read()
        assert received >= EVENTS, received
        return (time.process_time() - start) / EVENTS

    return measure
