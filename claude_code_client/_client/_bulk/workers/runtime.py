"""Runtime of a worker process: one event loop and one set of connections for all chunks of the same client."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import attrs

from ...._config import Config
from ...._operations.client_state import ClientState
from ...._transport.async_connection import AsyncConnection
from ...pickling import fingerprint, known_config, transported_config
from ..rate_limit import RequestPace
from ..worker_key import read_worker_key

T = TypeVar("T")

_MOST_IDLE: Final = 4
"""Runtimes without a chunk that are kept: a long-lived worker serves many clients."""


@attrs.define(eq=False)
class WorkerRuntime:
    """Event loop in a thread, and the connections that live in it."""

    connection: AsyncConnection
    pace: RequestPace = attrs.field(factory=RequestPace)
    is_first: bool = True
    """True until its first chunk has begun."""
    chunks: int = 0
    """Chunks in progress."""
    _loop: asyncio.AbstractEventLoop = attrs.field(factory=asyncio.new_event_loop)
    _thread: threading.Thread = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # A daemon: the executor decides when its processes end.
        self._thread = threading.Thread(target=self._loop.run_forever, name="claude-code-client: worker", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and return its result. An interruption cancels it, and waits for its end."""
        ended = threading.Event()

        async def main() -> T:
            try:
                return await coroutine
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(main(), self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            ended.wait()
            raise

    def close(self) -> None:
        """Close the connections and end the thread."""
        asyncio.run_coroutine_threadsafe(self.connection.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


_runtimes: dict[str, WorkerRuntime] = {}
_lock = threading.Lock()


@contextmanager
def runtime_for(pickled: Mapping[str, Any], worker_key: str | None) -> Iterator[WorkerRuntime]:
    """Lend the runtime of a client's configuration, which is made once. Raises AuthenticationError without a key."""
    config = worker_config(pickled, worker_key)
    name = fingerprint(config)
    with _lock:
        runtime = _runtimes.pop(name, None)
        idle = [each for each, other in _runtimes.items() if other.chunks == 0]
        too_many = [_runtimes.pop(each) for each in idle[: len(idle) - _MOST_IDLE + 1]] if runtime is None else []
        if runtime is None:
            runtime = WorkerRuntime(AsyncConnection(config, ClientState()))
        _runtimes[name] = runtime
        runtime.chunks += 1
    for other in too_many:
        other.close()
    try:
        yield runtime
    finally:
        with _lock:
            runtime.chunks -= 1


def worker_config(pickled: Mapping[str, Any], worker_key: str | None) -> Config:
    """Return the configuration with the key of this worker.

    In the coordinator's process, as for threads, and in those that were forked from it, that is the coordinator's own,
    unless ``worker_key`` says otherwise.
    """
    if worker_key is None and (known := known_config(pickled)) is not None:
        return known
    return transported_config(pickled, read_worker_key(worker_key))


def close_idle_runtimes() -> None:
    """Close what has no chunk, of a coordinator whose workers were threads of its process."""
    with _lock:
        idle = [name for name, runtime in _runtimes.items() if runtime.chunks == 0]
        closing = [_runtimes.pop(name) for name in idle]
    for runtime in closing:
        runtime.close()


_abandoned: list[object] = []


def _forget() -> None:
    """Leave the parent's loops and connections alone, in a child that was forked."""
    global _lock, _runtimes
    _abandoned.append(_runtimes)
    _runtimes, _lock = {}, threading.Lock()


os.register_at_fork(after_in_child=_forget)
