"""Background work that clients finish after a call has returned."""

from __future__ import annotations

import threading
import time

TIMEOUT = 15.0
"""Seconds until it counts as never."""
PREFIX = "claude-code-client: "
"""Names of the client's threads begin so."""
CLEANUPS = (f"{PREFIX}background", f"{PREFIX}watchdog")
"""Names of those that end by themselves, soon: each of their requests has a deadline."""


def background_threads(names: str | tuple[str, ...] = PREFIX) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(names)]


def wait_for_background_work(names: str | tuple[str, ...] = PREFIX) -> None:
    """Wait until it is done; fails if it never is. One thread may start another."""
    limit = time.monotonic() + TIMEOUT
    while threads := background_threads(names):
        for thread in threads:
            if thread.ident is None:  # another thread is starting it
                time.sleep(0.001)
                assert time.monotonic() < limit
                continue
            thread.join(max(limit - time.monotonic(), 0.0))
            assert not thread.is_alive()
