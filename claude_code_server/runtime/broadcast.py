"""Notifications between coroutines."""

from __future__ import annotations

import asyncio


class Broadcast:
    """A notification, without content, to every coroutine that waits at the time."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Wake every coroutine that waits now."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait for the next notification; return False after ``timeout`` seconds without one."""
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
