"""Blocking work on threads of its own, with a time limit that can be shortened while the work goes on."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


class WorkLimit:
    """Time limit that blocking work checks regularly; it may be shortened from any thread."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    @property
    def reached(self) -> bool:
        return time.monotonic() >= self._deadline

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def shorten(self, seconds: float) -> None:
        """End the work within ``seconds``, unless it has to end earlier."""
        self._deadline = min(self._deadline, time.monotonic() + seconds)


async def run_in_own_thread(work: Callable[[], _T], name: str) -> _T:
    """Run blocking work on a daemon thread and return its result.

    Unlike the loop's executor, the thread delays neither other work nor the end of the process. The thread goes on
    if the caller is cancelled.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is None:
            outcome.set_result(result)  # type: ignore[arg-type]
        else:
            outcome.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await outcome
