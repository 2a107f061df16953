"""CPU of asynchronous calls, with 1 and with 500 in flight."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import httpx

from benchmarks.common import BODY, KEY, PATH
from benchmarks.loopback import loopback_server
from benchmarks.rows import Bar, Chart, Row
from benchmarks.timing import Samples, median, ratio
from claude_code_client import AsyncClaudeClient

HTTPX: Final = "httpx.AsyncClient.post"
OURS: Final = "async complete()"

_MANY: Final = 500
_ROUNDS: Final = 3
_CALLS: Final = 500
"""Calls of a round: a multiple of the calls in flight."""

Call = Callable[[], Awaitable[object]]


def bench_in_flight() -> tuple[list[Row], list[Chart]]:
    with loopback_server() as url:
        one, many = asyncio.run(_measure(url))
    # The rounds of both alternate, so that those of one number can be compared.
    growth = statistics.median(b / a for a, b in zip(one[OURS], many[OURS], strict=True))
    rows = [
        Row(f"{OURS}, 1 in flight", ratio(one, OURS, HTTPX), "", _baseline(one), 0.60),
        Row(f"{OURS}, {_MANY} in flight", ratio(many, OURS, HTTPX), "", _baseline(many), 0.25),
        Row(f"{OURS}, {_MANY} in flight", growth, "", f"1 in flight ({median(one, OURS) * 1e6:.0f} µs)", 1.2),
    ]
    bars = [Bar(name, ratio(many, name, HTTPX), ours=name == OURS) for name in many]
    title = f"CPU of one call with {_MANY} in flight, as a ratio to httpx"
    return rows, [Chart(title, "", sorted(bars, key=lambda bar: bar.value))]


def _baseline(samples: Samples) -> str:
    return f"{HTTPX} ({median(samples, HTTPX) * 1e6:.0f} µs)"


async def _measure(url: str) -> tuple[Samples, Samples]:
    async with AsyncExitStack() as stack:
        calls = await _clients(url, stack)
        one: dict[str, list[float]] = {name: [] for name in calls}
        many: dict[str, list[float]] = {name: [] for name in calls}
        # Connections are opened, and pools grow, before anything is measured.
        await _round(calls, _MANY, {name: [] for name in calls})
        for _ in range(_ROUNDS):
            await _round(calls, 1, one)
            await _round(calls, _MANY, many)
    return one, many


async def _round(calls: Mapping[str, Call], in_flight: int, samples: dict[str, list[float]]) -> None:
    async def several(call: Call) -> None:
        for _ in range(_CALLS // in_flight):
            await call()

    for name, call in calls.items():
        start = time.process_time()
        await asyncio.gather(*(several(call) for _ in range(in_flight)))
        samples[name].append((time.process_time() - start) / _CALLS)


async def _clients(url: str, stack: AsyncExitStack) -> dict[str, Call]:
    target = url + PATH
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, limits=limits, timeout=60))
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    client = await stack.enter_async_context(AsyncClaudeClient(KEY, f"{url}/v1"))
    raw = _RawConnections(url)
    stack.callback(raw.close)

    async def with_httpx() -> object:
        return (await http.post(target, json=BODY)).json()

    async def with_aiohttp() -> object:
        async with session.post(target, json=BODY) as response:
            return await response.json()

    return {
        HTTPX: with_httpx,
        OURS: lambda: client.complete("Hello"),
        "raw asyncio + json": raw.call,
        "aiohttp": with_aiohttp,
    }


class _RawConnections:
    """A stack of asyncio's own connections: the least that a call can cost."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def call(self) -> object:
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection(self._address.hostname, self._address.port)
        body = json.dumps(BODY).encode()
        head = f"POST {PATH} HTTP/1.1\r\nHost: {self._address.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        response = await reader.read(65536)
        self._idle.append((reader, writer))
        return json.loads(response.partition(b"\r\n\r\n")[2])

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
