"""Concurrent calls on one client: threads for the synchronous one, coroutines for the asynchronous one."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any

from claude_code_client import AsyncClaudeClient, ClaudeClient
from support.clients.client_kinds import KEY

Job = Callable[[Any], Any]
"""Called with the client; the asynchronous client's result is awaited."""


@dataclass(frozen=True)
class CallResult:
    """Value or error of one call."""

    began: float
    """Seconds on the monotonic clock, like ``ended``."""
    ended: float
    value: Any = None
    error: BaseException | None = None

    @property
    def seconds(self) -> float:
        """Duration of the call."""
        return self.ended - self.began


def make_client(kind: str, base_url: str, **options: Any) -> Any:
    """Return a client of the given kind, which the caller closes."""
    kinds: dict[str, Any] = {"sync": ClaudeClient, "async": AsyncClaudeClient}
    return kinds[kind](**{"api_key": KEY, "base_url": base_url, **options})


def call_concurrently(client: Any, jobs: Sequence[Job], max_concurrency: int) -> list[CallResult]:
    """Run all jobs, ``max_concurrency`` at a time; return their results in order. Closes the client."""
    if isinstance(client, AsyncClaudeClient):
        return asyncio.run(_coroutines(client, jobs, max_concurrency))
    with client, ThreadPoolExecutor(max_concurrency) as pool:
        return list(pool.map(lambda job: _call(client, job), jobs))


def _call(client: Any, job: Job) -> CallResult:
    start = time.monotonic()
    try:
        value = job(client)
    except Exception as error:
        return CallResult(start, time.monotonic(), error=error)
    return CallResult(start, time.monotonic(), value)


async def _coroutines(client: Any, jobs: Sequence[Job], max_concurrency: int) -> list[CallResult]:
    turn = asyncio.Semaphore(max_concurrency)

    async def call(job: Job) -> CallResult:
        async with turn:
            start = time.monotonic()
            try:
                value = job(client)
                if inspect.isawaitable(value):
                    value = await value
            except Exception as error:
                return CallResult(start, time.monotonic(), error=error)
            return CallResult(start, time.monotonic(), value)

    async with client:
        return await asyncio.gather(*(call(job) for job in jobs))


@contextmanager
def sampled(look: Callable[[], None]) -> Iterator[list[int]]:
    """Call ``look`` in a thread until the block ends; the yielded list holds the number of calls."""
    stop, looks = Event(), [0]
    failed: list[BaseException] = []

    def sample() -> None:
        try:
            while not stop.wait(0.0002):
                look()
                looks[0] += 1
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=sample, name="sampler")
    thread.start()
    try:
        yield looks
    finally:
        stop.set()
        thread.join(10)
    if failed:
        raise failed[0]
