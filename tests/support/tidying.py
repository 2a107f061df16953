"""What clients do in the background once nobody waits for it."""

from __future__ import annotations

import threading

TIMEOUT = 15.0
"""Seconds until it counts as never."""


def wait_for_tidying() -> None:
    """Wait until it is done; fails if it never is."""
    for thread in threading.enumerate():
        if thread.name == "claude-code-client: background":
            thread.join(TIMEOUT)
            assert not thread.is_alive()
