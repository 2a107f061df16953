"""Bytes of a request that wait for the rest of it, so that its head and body are sent together."""

from __future__ import annotations

from typing import Final

PROXY_REQUEST: Final = b"CONNECT "
"""Start of a request to a proxy, of which the server behind it learns nothing."""
_FEW: Final = 1 << 16


class UnsentBytes:
    """Buffer of a connection. httpcore writes the head and the body of a request one after the other, then reads."""

    def __init__(self) -> None:
        self._data = b""

    def __bool__(self) -> bool:
        return bool(self._data)

    def put(self, data: bytes) -> bytes:
        """Add bytes; return what to send now, which is nothing as long as there are few."""
        self._data += data
        return self.take() if len(self._data) > _FEW else b""

    def take(self) -> bytes:
        """Return what to send before the response is read."""
        data, self._data = self._data, b""
        return data
