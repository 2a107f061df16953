"""Executors of the tests: they record what crosses to their workers, lose chunks as dying workers do, or get stuck."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


@dataclass
class RecordingExecutor(Executor):
    """Executor that keeps the pickles of what is submitted to another one, and of what comes back."""

    inner: Executor
    pickles: list[bytes] = field(default_factory=list)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.pickles.append(pickle.dumps((fn, args, kwargs)))
        future = self.inner.submit(fn, *args, **kwargs)
        future.add_done_callback(self._keep)
        return future

    def _keep(self, future: Future[Any]) -> None:
        if not future.cancelled() and future.exception() is None:
            self.pickles.append(pickle.dumps(future.result()))


@dataclass
class LossyExecutor(Executor):
    """Executor that loses the reports on the first chunks, after they have been run."""

    inner: Executor
    losses: int
    how: str = "error"
    """``"error"`` for an exception, ``"cancel"`` for a cancelled future."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = self.inner.submit(fn, *args, **kwargs)
        with self._lock:
            if self.losses <= 0:
                return future
            self.losses -= 1
        lost: Future[Any] = Future()
        future.add_done_callback(lambda _: self._lose(lost))
        return lost

    def _lose(self, lost: Future[Any]) -> None:
        if self.how == "cancel":
            lost.cancel()
            lost.set_running_or_notify_cancel()
        else:
            lost.set_exception(RuntimeError("the worker has died"))


@dataclass
class StuckExecutor(Executor):
    """Executor that waits for ever for a scheduler that is gone, in ``submit()`` or when a future is cancelled."""

    how: str
    """``"submit"`` or ``"cancel"``."""
    on_stuck: Callable[[], object]

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.on_stuck()
        future: Future[Any] = Future()
        if self.how == "submit":
            threading.Event().wait()
        future.add_done_callback(lambda _: threading.Event().wait())
        return future


class ClosingDaskExecutor(Executor):
    """Executor like that of a Dask client whose scheduler is gone: a chunk that comes as it closes has no outcome."""

    def __init__(self) -> None:
        self._client = SimpleNamespace(status="closing")

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self._client.status == "closed":
            raise RuntimeError("the client is closed")
        self._client.status = "closed"
        return Future()
