"""Rounds of the campaign: calls of one client, each with a disturbance, then the client's end."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from claude_code_client.errors import ClosedError, ConfigurationError
from support.lifetime.calls import CALLS, Call, Round, get
from support.lifetime.disturbances import LineInterrupt, alarm, eager_collector, in_thread

SYNC_WAYS = {
    "undisturbed": 15,
    "interrupted at a line": 40,
    "SIGINT": 12,
    "used in a signal handler": 7,
    "closed in a signal handler": 7,
    "closed by a thread": 9,
    "collected": 10,
}
ASYNC_WAYS = {
    "undisturbed": 12,
    "cancelled at a step": 30,
    "cancelled": 12,
    "SIGINT": 14,
    "closed in a signal handler": 8,
    "closed by a task": 10,
    "left by the loop": 8,
    "collected": 6,
}
AT_LAST = 0.15
"""Seconds after which a call is interrupted in any case."""
RUNS_ON = 1.0
"""Seconds after which a task counts as one that runs until it is cancelled."""
LONGEST = 0.04
"""Seconds until a disturbance at a random moment."""


def choose(dice: random.Random, ways: dict[str, int]) -> str:
    return dice.choices(list(ways), list(ways.values()))[0]


def disturb_sync(round_: Round, call: Call, way: str, lines: LineInterrupt) -> None:
    """Make a call of the synchronous client with a disturbance."""
    client, seconds = round_.client, LONGEST * round_.dice.random() ** 2
    disturbances: dict[str, Callable[[], AbstractContextManager[object]]] = {
        "undisturbed": nullcontext,
        "interrupted at a line": lambda: lines.during(call.__name__, AT_LAST),
        "SIGINT": lambda: alarm(seconds, lines.interrupt),
        "used in a signal handler": lambda: alarm(seconds, lambda _: client.get_health()),
        "closed in a signal handler": lambda: alarm(seconds, lambda _: client.close()),
        "closed by a thread": lambda: in_thread(seconds, client.close),
        "collected": eager_collector,
    }
    expected: tuple[type[BaseException], ...] = (KeyboardInterrupt,) if "INT" in way or "inter" in way else ()
    if "closed" in way:
        expected = (ClosedError, ConfigurationError)
    with suppress(*expected), disturbances[way]():
        coroutine: Any = call(round_)
        try:
            with suppress(StopIteration):
                coroutine.send(None)
        finally:
            coroutine.close()
    if "closed" in way:
        round_.client = copy.copy(client)
        client.close()


def disturb_async(round_: Round, call: Call, way: str) -> None:
    """Make a call of the asynchronous client in an event loop of its own, with a disturbance."""
    client, seconds, dice = round_.client, LONGEST * round_.dice.random() ** 2, round_.dice

    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(call(round_))
        closing: list[asyncio.Task[Any]] = []
        match way:
            case "cancelled at a step":
                for _ in range(dice.randint(0, 120)):
                    await asyncio.sleep(0)
                task.cancel()
            case "cancelled":
                loop.call_later(seconds, task.cancel)
            case "closed in a signal handler":
                loop.add_signal_handler(signal.SIGALRM, lambda: closing.append(asyncio.ensure_future(client.close())))
                signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
            case "closed by a task":
                await asyncio.sleep(seconds)
                await client.close()
            case "SIGINT":
                # From here on: an interruption of asyncio.run() itself leaves the loop open.
                signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
                signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
            case "left by the loop":
                await asyncio.sleep(seconds)
                return
        try:
            await task
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            await asyncio.gather(*closing)

    expected: tuple[type[BaseException], ...] = ()
    disturbance: AbstractContextManager[object] = nullcontext()
    match way:
        case "cancelled at a step" | "cancelled":
            expected = (asyncio.CancelledError,)
        case "closed in a signal handler" | "closed by a task":
            expected = (ClosedError, ConfigurationError)
        case "SIGINT":
            expected = (KeyboardInterrupt,)
        case "collected":
            disturbance = eager_collector()
    with suppress(*expected), disturbance:
        asyncio.run(main())
    if "closed" in way:
        round_.client = copy.copy(client)
        asyncio.run(client.close())


def play(round_: Round, lines: LineInterrupt) -> None:
    """Make some calls, use the client afterwards, and leave it."""
    dice = round_.dice
    for _ in range(dice.randint(1, 3)):
        call = CALLS[dice.choice(list(CALLS))]
        way = choose(dice, SYNC_WAYS if round_.kind == "sync" else ASYNC_WAYS)
        lines.hit = ""
        round_.calls.append([call.__name__, way])
        round_.is_ended = any(word in way for word in ("interrupted", "SIGINT", "closed", "cancelled", "left"))
        if round_.kind == "sync":
            disturb_sync(round_, call, way, lines)
        else:
            disturb_async(round_, call, way)
        round_.calls[-1].append(lines.hit)
    if round_.kind == "sync":
        coroutine: Any = leave(round_)
        with suppress(StopIteration):
            coroutine.send(None)
    else:
        asyncio.run(leave(round_))


async def leave(round_: Round) -> None:
    """Use the client once more, settle what runs on, and close it or leave it to the collector."""
    client = round_.client
    assert (await get(round_, client.get_health())).status
    if round_.is_handle_lost:
        for handle in await get(round_, client.recover()):
            await get(round_, handle.cancel())
    for handle in round_.handles:
        await end(round_, handle.id)
    if round_.dice.random() < 0.05 and round_.kind == "sync":
        in_child(round_)
    if round_.dice.random() < 0.8:
        await get(round_, client.close())


async def end(round_: Round, task_id: str) -> None:
    """Wait for a task's end. Cancel one that runs on because its call was interrupted before it could."""
    limit = time.monotonic() + RUNS_ON
    while not (await get(round_, round_.client.get_task(task_id))).is_terminal:
        if time.monotonic() > limit:
            await get(round_, round_.client.cancel_task(task_id))
            break
        time.sleep(0.01)  # noqa: ASYNC251 (the synchronous client has no loop)


def in_child(round_: Round) -> None:
    """Use the client and its streams in a forked process."""
    child = os.fork()
    if not child:
        try:
            round_.client.get_health()
            for stream in round_.kept:
                stream.close()
            round_.client.close()
            round_.kept.clear()
            gc.collect()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0, "the child failed"
