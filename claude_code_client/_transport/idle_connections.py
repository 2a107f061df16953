"""Idle connections to one origin."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from time import monotonic
from typing import Final, Generic, TypeVar

KEEPALIVE_EXPIRY: Final = 30.0
"""Seconds after which an idle connection is closed."""


C = TypeVar("C")


class IdleConnections(Generic[C]):
    """A stack: the connection used last is taken first, so that those beyond what is needed expire.

    Nothing here waits for a lock, so that a thread, a finalizer and a signal handler may use it at any moment: each
    step is one operation of a deque, which is atomic.
    """

    def __init__(self) -> None:
        self._stack: deque[tuple[C, float]] = deque()
        """Connections and when they were put here."""

    def put(self, connection: C) -> None:
        self._stack.append((connection, monotonic()))

    def take(self) -> C | None:
        """Return the connection used last; None if there is none. It may have been closed by the server."""
        try:
            return self._stack.pop()[0]
        except IndexError:
            return None

    def take_expired(self) -> Iterator[C]:
        """Remove and return the connections that have been idle for too long."""
        oldest = monotonic() - KEEPALIVE_EXPIRY
        while True:
            try:
                connection, since = self._stack.popleft()
            except IndexError:
                return
            if since >= oldest:
                self._stack.appendleft((connection, since))
                return
            yield connection

    def take_all(self) -> Iterator[C]:
        """Remove and return all connections."""
        while (connection := self.take()) is not None:
            yield connection
