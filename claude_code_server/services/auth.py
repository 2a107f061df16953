"""Authentication by API key. Keys are compared by hash, and only hashes leave this module."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from ..domain.errors import ApiError

_HELP: Final = "Send the header `Authorization: Bearer sk-proj-…` with a key that this server accepts"


def hash_key(key: str) -> str:
    """Return the SHA-256 of a key in hexadecimal, by which the database identifies the key."""
    return hashlib.sha256(key.encode()).hexdigest()


class ApiKeys:
    """The keys that the server accepts."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._hashes = tuple(hash_key(key) for key in keys)

    def authenticate(self, authorization: str | None) -> str:
        """Return the hash of the key in an ``Authorization`` header. Raise ApiError 401."""
        if not authorization:
            raise _unauthorized(f"No API key. {_HELP}.")
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise _unauthorized(f"The Authorization header contains no bearer token. {_HELP}.")
        key_hash = hashlib.sha256(key.strip().encode("latin-1", "replace")).hexdigest()
        # A list, not a generator: the time of the comparison must not depend on which key matches.
        matches = [hmac.compare_digest(key_hash, accepted) for accepted in self._hashes]
        if not any(matches):
            raise _unauthorized(f"Invalid API key. {_HELP}; clients take it from CLAUDE_API_KEY.")
        return key_hash


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, "authentication_error", message, headers={"WWW-Authenticate": "Bearer"})
