"""Thread in which a batch calls its executor: the call may never return, and neither batch nor process waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class ExecutorThread:
    """Thread that makes one call after another. It starts with the first one.

    Those of ``asyncio.to_thread()`` are waited for by the event loop and by the process when they end.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Have a function called and return its outcome to come, which can be cancelled before the call."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="claude-code-client: executor", daemon=True)
            self._thread.start()
        outcome: Future[T] = Future()
        self._calls.put((outcome, function))
        return outcome

    def end(self) -> None:
        """End the thread after the calls so far."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            outcome, function = call
            if not outcome.set_running_or_notify_cancel():
                continue
            try:
                outcome.set_result(function())
            except BaseException as error:
                outcome.set_exception(error)
            del call, outcome, function
