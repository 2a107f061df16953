"""Limits on connections: deadlines of requests, and how many connections may be open."""

from __future__ import annotations

import logging
import resource
import time
from typing import Final, Protocol

import attrs

_log = logging.getLogger(__name__)
_WARNING_INTERVAL: Final = 60.0
"""Seconds between two warnings: a flood of connections must not become a flood of log lines."""
_EVICTED_AT_ONCE: Final = 16
"""Connections to close at most when the process has no file descriptor left."""


@attrs.frozen(kw_only=True)
class ConnectionLimits:
    """Limits of one server. Times are in seconds."""

    head_timeout: float = 10.0
    """Time for the head of a request, from the first byte or from the start of the connection."""
    body_timeout: float = 30.0
    """Time in which a body must make progress."""
    max_head_bytes: int = 65_536
    """Size of the head of a request."""
    max_connections: int = 1000
    """Connections that may be open."""
    descriptor_share: float = 0.25
    """Share of the process's file descriptors that connections may use; tasks need the others."""

    def connection_limit(self) -> int:
        """Return the number of connections that may be open, which the limit on file descriptors may lower."""
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if descriptors == resource.RLIM_INFINITY:
            return self.max_connections
        return max(1, min(self.max_connections, int(descriptors * self.descriptor_share)))


class Connection(Protocol):
    """Connection that can be evicted."""

    @property
    def authenticated(self) -> bool:
        """True if a request on this connection had an accepted key."""
        ...

    @property
    def idle(self) -> bool:
        """True if no request on this connection is waiting for its response."""
        ...

    def abort(self) -> None:
        """Close the connection at once."""
        ...


class OpenConnections:
    """The open connections of one server, oldest first.

    At the limit, a new connection takes the place of the oldest one without a key, so that connections that send
    nothing, or have no key, never keep others out.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[Connection, None] = {}
        self._next_warning = 0.0

    def admit(self, connection: Connection) -> bool:
        """Add a connection, in the place of another one if need be. Return False if there is no place for it."""
        if len(self._open) >= self._limit:
            self._warn(f"{self._limit} connections are open, the limit. Closing those without a key first.")
            if not self._evict():
                return False
        self._open[connection] = None
        return True

    def remove(self, connection: Connection) -> None:
        """Remove a connection that is closed or was never admitted."""
        self._open.pop(connection, None)

    def free_descriptors(self, error: OSError) -> bool:
        """Close some connections because a new one could not be accepted. Return False if all are in use."""
        self._warn(f"Cannot accept connections: {error.strerror}. Raise the limit on open files (ulimit -n).")
        # Not all of them: the newest ones may be about to send a key.
        wanted = min(_EVICTED_AT_ONCE, (len(self._open) + 1) // 2)
        evicted = [self._evict() for _ in range(wanted)]
        return any(evicted)

    def _evict(self) -> bool:
        """Close the oldest connection without a key, or else the oldest idle one. Return False if all are in use."""
        chosen = next((connection for connection in self._open if not connection.authenticated), None)
        if chosen is None:
            chosen = next((connection for connection in self._open if connection.idle), None)
        if chosen is None:
            return False
        del self._open[chosen]
        chosen.abort()
        return True

    def _warn(self, message: str) -> None:
        now = time.monotonic()
        if now >= self._next_warning:
            self._next_warning = now + _WARNING_INTERVAL
            _log.warning("%s", message)
