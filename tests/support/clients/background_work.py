"""Background work that clients finish after a call has returned."""

from __future__ import annotations

import threading

TIMEOUT = 15.0
"""Seconds that tests wait before they fail."""


def wait_for_background_work() -> None:
    """Wait until all background work is done; fail after ``TIMEOUT``."""
    for thread in threading.enumerate():
        if thread.name == "claude-code-client: tidy up":
            thread.join(TIMEOUT)
            assert not thread.is_alive()
