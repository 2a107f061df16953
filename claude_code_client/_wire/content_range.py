"""What the headers of an answer say of the file in it (RFC 9110). Pure."""

from __future__ import annotations

import re
from typing import Final

import attrs

from .._operations.effects import Head

_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})", re.ASCII)
_LENGTH: Final = re.compile(r"\d{1,18}", re.ASCII)
_STRONG_ETAG: Final = re.compile(r'"[^"]*"')
_SHA256_ETAG: Final = re.compile(r'(?:W/)?"([0-9a-fA-F]{64})"')


@attrs.frozen
class Part:
    """A part of a file, from its byte ``start`` on; the file has ``size`` bytes."""

    start: int
    size: int


def part(head: Head) -> Part | None:
    """What a 206 says it is; None where it does not say, or not in full."""
    match = _CONTENT_RANGE.fullmatch(head.headers.get("content-range", "").strip())
    return Part(int(match[1]), int(match[2])) if match else None


def length(head: Head) -> int | None:
    """The bytes of the body, where they are said and not those of an encoded form."""
    match = _LENGTH.fullmatch(head.headers.get("content-length", ""))
    return int(match[0]) if match and not is_encoded(head) else None


def is_encoded(head: Head) -> bool:
    """Whether the body is another form of the file, such as a compressed one."""
    return head.headers.get("content-encoding", "identity").strip().lower() != "identity"


def ends_by_itself(head: Head) -> bool:
    """Whether a body that is cut can be told from one that is at its end (RFC 9112, 6.3)."""
    return "content-length" in head.headers or "chunked" in head.headers.get("transfer-encoding", "").lower()


def is_strong(etag: str | None) -> bool:
    """Whether parts of files with this tag go together (8.8.1)."""
    return etag is not None and _STRONG_ETAG.fullmatch(etag) is not None


def same(etag: str, other: str) -> bool:
    """Whether they mean the same file, but for a weakness that proxies add (8.8.3.2)."""
    return etag.removeprefix("W/") == other.removeprefix("W/")


def sha256(etag: str | None) -> str | None:
    """The digest that this API's tags are, if it is one."""
    match = _SHA256_ETAG.fullmatch(etag or "")
    return match[1] if match else None
