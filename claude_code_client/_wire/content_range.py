"""Headers that describe a file, or a range of it, in a response (RFC 9110). No I/O.

Functions take the headers of a response by their lower-case names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import attrs

_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})", re.ASCII)
_CONTENT_LENGTH: Final = re.compile(r"\d{1,18}", re.ASCII)
_STRONG_ETAG: Final = re.compile(r'"[^"]*"')
_SHA256_ETAG: Final = re.compile(r'(?:W/)?"([0-9a-fA-F]{64})"')


@attrs.frozen
class ContentRange:
    """Range of a file in a 206 response."""

    start: int
    """Offset of the first byte."""
    size: int
    """Bytes of the whole file."""


def content_range(headers: Mapping[str, str]) -> ContentRange | None:
    """Return the range in the body of a 206 response; None if ``Content-Range`` is missing or incomplete."""
    match = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
    return ContentRange(int(match[1]), int(match[2])) if match else None


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return the bytes of the file in the body; None if the headers do not state them, or the body is encoded."""
    match = _CONTENT_LENGTH.fullmatch(headers.get("content-length", ""))
    return int(match[0]) if match and not is_encoded(headers) else None


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Return whether the body is encoded, such as compressed."""
    return headers.get("content-encoding", "identity").strip().lower() != "identity"


def is_delimited(headers: Mapping[str, str]) -> bool:
    """Return whether a truncated body can be distinguished from a complete one (RFC 9112, section 6.3)."""
    return "content-length" in headers or "chunked" in headers.get("transfer-encoding", "").lower()


def is_strong(etag: str | None) -> bool:
    """Return whether ranges of responses with this ETag may be combined (RFC 9110, section 8.8.1)."""
    return etag is not None and _STRONG_ETAG.fullmatch(etag) is not None


def same_etag(etag: str, other: str) -> bool:
    """Compare two ETags weakly, because proxies may mark them as weak (RFC 9110, section 8.8.3.2)."""
    return etag.removeprefix("W/") == other.removeprefix("W/")


def etag_sha256(etag: str | None) -> str | None:
    """Return the SHA-256 digest that this API's ETags consist of; None for any other ETag."""
    match = _SHA256_ETAG.fullmatch(etag or "")
    return match[1] if match else None
