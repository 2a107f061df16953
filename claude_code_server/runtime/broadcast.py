"""Notifications between coroutines."""

from __future__ import annotations

import asyncio


class Broadcast:
    """A notification, without content, to every coroutine that waits at the time."""

    def __init__(self) -> None:
        self._event: asyncio.Event | None = None
        """Event of those who wait now; None if there are none."""

    def notify(self) -> None:
        """Wake every coroutine that waits now."""
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait for the next notification; return False after ``timeout`` seconds without one."""
        if self._event is None:
            self._event = asyncio.Event()
        return await wait_for_event(self._event, timeout)


async def wait_for_event(event: asyncio.Event, timeout: float | None = None) -> bool:
    """Wait until ``event`` is set; return False after ``timeout`` seconds."""
    if timeout is None:
        return await event.wait()
    try:
        async with asyncio.timeout(timeout):
            await event.wait()
    except TimeoutError:
        return False
    return True
