"""Bodies of responses, of a bounded size: a few megabytes of gzip may hold gigabytes."""

from __future__ import annotations

from typing import Final

import httpx

MAX_BODY_BYTES: Final = 256 * 1024 * 1024
"""Decoded bytes; far more than any response of the API. Streams and downloads have limits of their own."""
_ENCODINGS: Final = frozenset({"", "identity", "gzip", "deflate"})


def check_encoding(response: httpx.Response) -> None:
    """Raise DecodingError for a response in an encoding that no request asks for, or in several.

    A proxy may compress what was to come as it is, so gzip and deflate are always read.
    """
    if response.headers.get("Content-Encoding", "").strip().lower() not in _ENCODINGS:
        raise httpx.DecodingError("its Content-Encoding is not one that the request asked for")


class BoundedBody:
    """Body that is being read."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        """Add decoded bytes. Raises DecodingError if they are too many."""
        self._size += len(part)
        if self._size > MAX_BODY_BYTES:
            self._parts.clear()
            raise httpx.DecodingError(f"it is larger than {MAX_BODY_BYTES >> 20} MiB")
        self._parts.append(part)

    def finish(self, response: httpx.Response) -> None:
        """Make the bytes the content of the response."""
        response._content = b"".join(self._parts)


def read(response: httpx.Response) -> None:
    """Read the body of a response."""
    body = BoundedBody()
    for part in response.iter_bytes():
        body.add(part)
    body.finish(response)


async def aread(response: httpx.Response) -> None:
    """Read the body of a response asynchronously."""
    body = BoundedBody()
    async for part in response.aiter_bytes():
        body.add(part)
    body.finish(response)
