"""Read-only connections to the database, for any thread."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

T = TypeVar("T")

_THREADS: Final = 2


class ReadPool:
    """Pool of connections that see every committed transaction, and threads to use them in.

    A connection serves one thread at a time. Reading a large task takes seconds, so the event loop leaves it to the
    pool's own threads, which no other work can occupy.
    """

    def __init__(self, file: Path) -> None:
        self._uri = f"file:{quote(str(file))}?mode=ro"
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")

    @contextlib.contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection. Raise sqlite3.Error if the pool is closed or the database cannot be opened."""
        connection = self._take()
        try:
            yield connection
        finally:
            self._return(connection)

    async def run(self, read: Callable[[], T]) -> T:
        """Run ``read`` in a thread of the pool and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, read)

    def close(self) -> None:
        """Close all connections. A reader in progress fails when it asks for its next connection."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        self._threads.shutdown(cancel_futures=True)

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise sqlite3.ProgrammingError("the store is closed")
            if self._idle:
                return self._idle.pop()
        connection = sqlite3.connect(self._uri, uri=True, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        return connection

    def _return(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()
