"""Decoding of response bodies, within a limit: a few bytes of gzip may stand for gigabytes.

httpx decodes whatever it can, and as much as there is. Here a body has no coding that no request asks for, and no more
bytes than the client accepts. A proxy may compress a download that was to come as it is, so the codings that calls ask
for are read everywhere.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

_PIECE: Final = 1 << 16
"""Bytes that are decoded at a time."""
_FORMATS: Final = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
ACCEPTED: Final = ", ".join(_FORMATS)
"""Value of ``Accept-Encoding``."""


class DecodingError(Exception):
    """Raised for a body that cannot be decoded, or only to more bytes than the client accepts."""


class BodyDecoder:
    """Decoder of one body.

    Raises DecodingError for a coding that is never asked for, and beyond the limit.

    Args:
        coding: The header ``Content-Encoding``; empty without one.
        limit: Bytes; None for a body that its reader bounds.
        empty_if_wrong: True to take a body of which the coding is wrong for an empty one, as that of an error.
    """

    def __init__(self, coding: str, limit: int | None, *, empty_if_wrong: bool = False) -> None:
        self._limit = limit
        self._length = 0
        self._problem: str | None = None
        self._format: int | None = None
        self._decoder: Any = None
        self._is_empty = False
        if not coding:
            return
        codings = [each for part in coding.split(",") if (each := part.strip().lower()) not in ("", "identity")]
        if len(codings) > 1 or (codings and codings[0] not in _FORMATS):
            self._is_empty = empty_if_wrong
            self._problem = "it has a Content-Encoding that was not asked for"
        elif codings:
            self._format = _FORMATS[codings[0]]

    def decode(self, data: bytes) -> Iterable[bytes]:
        """Return the pieces that these bytes stand for."""
        if self._problem is not None:
            self._check()
            return ()
        if self._format is None:
            return (self._counted(data),)
        return self._decompressed(data)

    def _check(self) -> None:
        if not self._is_empty:
            raise DecodingError(self._problem)

    def _decompressed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._decoder is None:
                self._decoder = self._open(data)
            try:
                piece = self._decoder.decompress(data, _PIECE)
            except zlib.error as error:
                raise DecodingError(f"it is not what its Content-Encoding says ({error})") from error
            if piece:
                yield self._counted(piece)
            data = self._decoder.unconsumed_tail
            if self._decoder.eof:
                # A gzip file may have several members.
                data, self._decoder = self._decoder.unused_data, None

    def end(self) -> None:
        """Raise DecodingError if the body was cut short."""
        if self._problem is not None:
            self._check()
        if self._decoder is not None:
            raise DecodingError("its compressed data was cut short")

    def _open(self, data: bytes) -> Any:
        if self._format == zlib.MAX_WBITS and data[0] & 0x0F != 8:  # RFC 1950: not the method "deflate"
            return zlib.decompressobj(-zlib.MAX_WBITS)  # without the header, as some servers send it
        return zlib.decompressobj(self._format or 0)

    def _counted(self, piece: bytes) -> bytes:
        self._length += len(piece)
        if self._limit is not None and self._length > self._limit:
            raise DecodingError(
                f"it is larger than {self._limit} bytes. If it is what you expect, pass a larger max_response_bytes to "
                "the client"
            )
        return piece
