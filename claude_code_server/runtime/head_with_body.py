"""Transport that sends the head of a response together with what follows at once: one packet for a short response."""

from __future__ import annotations

import asyncio
from typing import Any, Final

_HEAD: Final = b"HTTP/1.1 "


class HeadWithBody:
    """Transport around another one. It keeps back the head of a response, until the event loop's next turn at most."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._kept = b""
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send data, or keep it until more is sent. What follows a head is never kept, so flow control sees it."""
        if self._kept:
            if data:
                kept, self._kept = self._kept, b""
                self._transport.write(kept + data)
        elif data.startswith(_HEAD):
            self._kept = data
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Send what is kept, and close the connection once everything is sent."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        kept, self._kept = self._kept, b""
        if kept:
            self._transport.write(kept)
