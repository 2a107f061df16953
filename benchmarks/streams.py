"""Events per CPU second of a stream, and the CPU of a thousand streams that are followed at once.

Run as a program, it follows the streams: its arguments are the server's URL and their number.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

import anthropic
import openai

from benchmarks.calls import BODY, KEY
from benchmarks.loopback import EVENTS, PACED, loopback_server, task_events
from benchmarks.open_files import raise_limit
from benchmarks.rows import Bar, Chart, Row
from benchmarks.timing import in_process, in_turn, ratio
from claude_code_client import AsyncClaudeClient, ClaudeClient

_SPLIT: Final = "split + json.loads"
_OURS: Final = "stream_task()"
_ROUNDS: Final = 5
_FOLLOWED: Final = 1_000
_WINDOW: Final = 4.0
"""Seconds over which the CPU of many streams is measured."""


def bench_streams() -> tuple[list[Row], list[Chart]]:
    with loopback_server() as url, ExitStack() as stack:
        samples = in_turn(_readers(url, stack), _ROUNDS)
        followed = in_process("streams", url, _FOLLOWED)
    speed = {name: 1 / statistics.median(rounds) for name, rounds in samples.items()}
    rows = [
        # Events per second, so the other way around than seconds per event.
        Row(f"{_OURS}: events/s", ratio(samples, _SPLIT, _OURS), "", f"{_SPLIT} ({speed[_SPLIT]:,.0f}/s)", 0.80, True),
        Row(
            f"{_FOLLOWED:,} streams at once, an event a second each",
            followed["cores"],
            "cores",
            f"{followed['events']:,.0f} events in {_WINDOW:g} s",
            0.5,
        ),
    ]
    bars = [Bar(name, speed[name] / 1e3, ours=name == _OURS) for name in sorted(speed, key=lambda name: -speed[name])]
    return rows, [Chart("Small events per CPU second, in thousands", "k", bars)]


def _readers(url: str, stack: ExitStack) -> dict[str, Callable[[], float]]:
    client = stack.enter_context(ClaudeClient(KEY, f"{url}/v1"))
    openai_client = stack.enter_context(openai.OpenAI(api_key=KEY, base_url=f"{url}/openai"))
    anthropic_client = stack.enter_context(anthropic.Anthropic(api_key=KEY, base_url=f"{url}/anthropic"))
    messages: Any = BODY["messages"]
    stream = task_events()

    def split() -> int:
        return sum(1 for part in stream.split(b"\n\n") if part and json.loads(part[part.index(b"data: ") + 6 :]))

    def with_openai() -> int:
        return sum(1 for _ in openai_client.chat.completions.create(model="m", messages=messages, stream=True))

    def with_anthropic() -> int:
        created = anthropic_client.messages.create(model="m", max_tokens=10, messages=messages, stream=True)
        return sum(1 for _ in created)

    readers: dict[str, Callable[[], int]] = {
        _SPLIT: split,
        _OURS: lambda: sum(1 for _ in client.stream_task("Count")),
        "anthropic": with_anthropic,
        "openai": with_openai,
    }
    return {name: _cpu_of_event(read) for name, read in readers.items()}


def _cpu_of_event(read: Callable[[], int]) -> Callable[[], float]:
    def measure() -> float:
        start = time.process_time()
        assert read() >= EVENTS
        return (time.process_time() - start) / EVENTS

    return measure


async def _follow(url: str, number: int) -> dict[str, float]:
    received = [0]
    all_open = asyncio.Event()

    async def follow(client: AsyncClaudeClient, task_id: str) -> None:
        stream = client.stream_events(task_id)
        first = True
        async for _ in stream:
            received[0] += 1
            if first:
                first = False
                opened.append(task_id)
                if len(opened) == number:
                    all_open.set()

    opened: list[str] = []
    async with AsyncClaudeClient(KEY, f"{url}/v1") as client:
        following = [asyncio.create_task(follow(client, f"{PACED}_{each}")) for each in range(number)]
        await asyncio.wait_for(all_open.wait(), 30)
        events, cpu, start = received[0], time.process_time(), time.monotonic()
        await asyncio.sleep(_WINDOW)
        seconds = time.monotonic() - start
        used, seen = time.process_time() - cpu, received[0] - events
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
    return {"cores": used / seconds, "events": seen}


if __name__ == "__main__":
    raise_limit()
    print(json.dumps(asyncio.run(_follow(sys.argv[1], int(sys.argv[2])))))
