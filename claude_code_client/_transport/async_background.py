"""Background work of the asynchronous client; ``background`` says how a call ends early."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Protocol

import attrs

from .._operations.effects import Effect, Send
from ..errors import ClaudeAPIError, TimeoutError
from .background import BackgroundWork

_LAG: Final = 0.05
"""Seconds; a deadline that is met later than that shows that the loop is busy or blocked."""
_EXTRA_TIME: Final = 1.5
"""Seconds that a thread has for a request that such a loop did not send in time."""

FinishInThread = Callable[[BackgroundWork, Callable[[], None] | None], None]
"""Carries out the rest of the work in a thread, which calls the second argument at the end."""


class Driver(Protocol):
    """Driver of one operation."""

    def attempt(self, effect: Effect) -> Awaitable[tuple[Any, ClaudeAPIError | None]]: ...

    async def aclose(self) -> None: ...


class AsyncBackground:
    """Background work in a task of the running event loop. Whatever ends the task early, a thread does the rest.

    Args:
        work: An operation that has no caller.
        driver: Returns a driver on the loop's pool; None if the pool is closed.
        finish_in_thread: Carries out the rest.
    """

    def __init__(
        self, work: BackgroundWork, driver: Callable[[], Driver | None], finish_in_thread: FinishInThread
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self.loop.create_future()
        """Done when the operation has ended, wherever it ran."""
        self._work = work
        self._driver = driver
        self._finish_in_thread = finish_in_thread
        self._lock = threading.RLock()
        self._handed_over = False
        # A loop that is dropped, without the end that asyncio.run gives it, tells its tasks nothing.
        self._dropped = weakref.finalize(self, _finish_rest, work, finish_in_thread)
        self._task: asyncio.Task[None] | None = None
        if not work.is_left:
            self._settle()
        elif driver() is None:
            # No task: the loop may stop before the task takes its first step.
            self.hand_over()
        else:
            self._task = self.loop.create_task(self._run())
            self._task.add_done_callback(self._ended)

    @property
    def is_left(self) -> bool:
        """True if steps are left for the loop to carry out."""
        return self._work.is_left and not self._handed_over

    def hand_over(self) -> None:
        """Leave the rest, if there is one, to a thread. Callable from any thread."""
        with self._lock:
            if not self.is_left:
                return
            self._handed_over = True
        self._dropped.detach()
        if self._task is not None:
            self._in_loop(self._task.cancel)
        self._finish_in_thread(self._work, lambda: self._in_loop(self._settle))

    def watch(self) -> None:
        """Have the rest handed over if the loop stops. For work that no coroutine waits for."""
        if self.is_left:
            _watchdog.watch(self)

    async def _run(self) -> None:
        driver = self._driver()
        if driver is None:
            return
        try:
            while (effect := self._work.effect) is not None:
                outcome, failure = await driver.attempt(effect)
                if isinstance(effect, Send) and failure is not None and _is_starved(effect, failure):
                    self._work.effect = attrs.evolve(effect, deadline=time.monotonic() + _EXTRA_TIME)
                    # Whoever waits has waited long enough.
                    self._settle()
                    return
                with self._lock:
                    if self._handed_over:
                        return
                    self._work.resume(outcome, failure)
        finally:
            await driver.aclose()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        self.hand_over()
        if self._handed_over:
            return
        self._settle()
        if error is not None:
            # A bug in an operation: no caller is left to raise it to.
            self.loop.call_exception_handler({"message": "claude_code_client: a cleanup failed", "exception": error})

    def _settle(self) -> None:
        self._dropped.detach()
        if not self.done.done():
            self.done.set_result(None)

    def _in_loop(self, callback: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(callback)


def _is_starved(effect: Send, failure: ClaudeAPIError) -> bool:
    """Return whether a busy or blocked loop let the deadline pass before the request was sent."""
    late = time.monotonic() - effect.deadline
    return isinstance(failure, TimeoutError) and not failure.outcome_unknown and late > _LAG


def _finish_rest(work: BackgroundWork, finish_in_thread: FinishInThread) -> None:
    if work.is_left:
        finish_in_thread(work, None)


class _Watchdog:
    """One thread, while there is anything to watch, that hands over the work of loops that have stopped.

    ``run_until_complete`` stops a loop as soon as its own coroutine has ended, and cancels nothing.
    """

    INTERVAL: Final = 0.1
    """Seconds."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._watched: set[AsyncBackground] = set()
        self._thread: threading.Thread | None = None

    def watch(self, background: AsyncBackground) -> None:
        with self._lock:
            self._watched.add(background)
            # A forked child has a copy of the thread, which does not run.
            if self._thread is not None and self._thread.is_alive():
                return
            self._thread = thread = threading.Thread(target=self._run, name="claude-code-client: watchdog")
            try:
                thread.start()
            except RuntimeError:  # no thread can be started
                self._watched.discard(background)
            else:
                return
        background.hand_over()

    def _run(self) -> None:
        idle = threading.Event()
        while True:
            with self._lock:
                self._watched = {background for background in self._watched if background.is_left}
                stopped = [background for background in self._watched if not background.loop.is_running()]
                self._watched.difference_update(stopped)
                ends = not self._watched
                if ends:
                    self._thread = None
            for background in stopped:
                background.hand_over()
            if ends:
                return
            idle.wait(self.INTERVAL)


_watchdog = _Watchdog()
