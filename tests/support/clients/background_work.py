"""Background work that clients finish after a call has returned."""

from __future__ import annotations

import threading
import time

TIMEOUT = 15.0
"""Seconds until it counts as never."""
PREFIX = "claude-code-client: "
"""Names of the client's threads begin so."""


def background_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(PREFIX)]


def wait_for_background_work() -> None:
    """Wait until it is done; fails if it never is. One thread may start another."""
    limit = time.monotonic() + TIMEOUT
    while threads := background_threads():
        for thread in threads:
            if thread.ident is None:  # another thread is starting it
                time.sleep(0.001)
                assert time.monotonic() < limit
                continue
            thread.join(max(limit - time.monotonic(), 0.0))
            assert not thread.is_alive()
