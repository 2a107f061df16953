"""Decoding of response bodies, within a limit: a few bytes of gzip may stand for gigabytes.

httpx decodes whatever it can, and as much as there is. Here a body has no coding that no request asks for, and no more
bytes than the client accepts. A proxy may compress a download that was to come as it is, so the codings that calls ask
for are read everywhere.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import httpx

_PIECE: Final = 1 << 16
"""Bytes that are decoded at a time."""
_FORMATS: Final = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
ACCEPTED: Final = ", ".join(_FORMATS)
"""Value of ``Accept-Encoding``."""
CODING: Final = "content_coding"
"""Extension of a decoded response: the ``Content-Encoding`` that it had; empty if it had none."""


def decoded(response: httpx.Response, limit: int | None) -> httpx.Response:
    """Return the response with a body that is decoded as it is read.

    Reading it raises httpx.DecodingError for a coding that is never asked for, and beyond ``limit`` bytes; None stands
    for a body that its reader bounds. An error response whose coding is wrong keeps its status, and has no body. The
    header moves to the extension ``CODING``, so that httpx does not decode the body again.
    """
    coding = response.headers.get("Content-Encoding", "")
    codings = [each.strip().lower() for each in coding.split(",")]
    codings = [each for each in codings if each not in ("", "identity")]
    body = _Body(codings, limit, empty_if_wrong=not response.is_success)
    stream: Any = response.stream
    headers = httpx.Headers([item for item in response.headers.raw if item[0].lower() != b"content-encoding"])
    return httpx.Response(
        response.status_code,
        headers=headers,
        stream=_SyncStream(stream, body) if isinstance(stream, httpx.SyncByteStream) else _AsyncStream(stream, body),
        extensions={**response.extensions, CODING: coding},
    )


class _Body:
    """Decoder of one body."""

    def __init__(self, codings: list[str], limit: int | None, *, empty_if_wrong: bool) -> None:
        self._limit = limit
        self._length = 0
        self._problem: str | None = None
        self._format: int | None = None
        self._decoder: Any = None
        self._is_empty = False
        if len(codings) > 1 or (codings and codings[0] not in _FORMATS):
            self._is_empty = empty_if_wrong
            self._problem = "it has a Content-Encoding that was not asked for"
        elif codings:
            self._format = _FORMATS[codings[0]]

    def start(self) -> None:
        """Raise httpx.DecodingError if the body cannot be read at all."""
        if self._problem is not None and not self._is_empty:
            raise httpx.DecodingError(self._problem)

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what these bytes stand for."""
        if self._is_empty:
            return
        if self._format is None:
            yield self._counted(data)
            return
        while data:
            if self._decoder is None:
                self._decoder = self._open(data)
            try:
                piece = self._decoder.decompress(data, _PIECE)
            except zlib.error as error:
                raise httpx.DecodingError(f"it is not what its Content-Encoding says ({error})") from error
            if piece:
                yield self._counted(piece)
            data = self._decoder.unconsumed_tail
            if self._decoder.eof:
                # A gzip file may have several members.
                data, self._decoder = self._decoder.unused_data, None

    def end(self) -> None:
        """Raise httpx.DecodingError if the body was cut short."""
        if self._decoder is not None:
            raise httpx.DecodingError("its compressed data was cut short")

    def _open(self, data: bytes) -> Any:
        if self._format == zlib.MAX_WBITS and data[0] & 0x0F != 8:  # RFC 1950: not the method "deflate"
            return zlib.decompressobj(-zlib.MAX_WBITS)  # without the header, as some servers send it
        return zlib.decompressobj(self._format or 0)

    def _counted(self, piece: bytes) -> bytes:
        self._length += len(piece)
        if self._limit is not None and self._length > self._limit:
            raise httpx.DecodingError(
                f"it is larger than {self._limit} bytes. If it is what you expect, pass a larger max_response_bytes to "
                "the client"
            )
        return piece


class _SyncStream(httpx.SyncByteStream):
    def __init__(self, inner: httpx.SyncByteStream, body: _Body) -> None:
        self._inner = inner
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        self._body.start()
        for data in self._inner:
            yield from self._body.decode(data)
        self._body.end()

    def close(self) -> None:
        self._inner.close()


class _AsyncStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, body: _Body) -> None:
        self._inner = inner
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._body.start()
        async for data in self._inner:
            for piece in self._body.decode(data):
                yield piece
        self._body.end()

    async def aclose(self) -> None:
        await self._inner.aclose()
