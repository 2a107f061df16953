"""Pace of the requests that wait for the end of a task, for a server that does not hold them. Pure."""

from __future__ import annotations

from typing import Final

HELD: Final = 1.0
"""Seconds; a response that takes longer was held by the server, which sets the pace then."""
BASE_DELAY: Final = 0.1
"""Seconds to wait after the first response that was not held; each further one doubles them."""
MAX_DELAY: Final = 3.0
"""Seconds."""


class PollPace:
    """Waits between the requests of one call. A server may ignore ``Prefer: wait`` (RFC 7240, 2)."""

    def __init__(self) -> None:
        self._delay = BASE_DELAY

    def next_delay(self, took: float, wait: float) -> float:
        """Return the seconds to wait before the next request.

        Args:
            took: Seconds that the response took.
            wait: Seconds that the server was requested to hold it.
        """
        if took >= min(HELD, wait):
            self._delay = BASE_DELAY
            return 0.0
        delay = self._delay
        self._delay = min(2 * delay, MAX_DELAY)
        return delay
