"""Authentication by API key. Keys are compared by hash, and only hashes leave this module."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from ..domain.errors import ApiError
from .failure_limiter import FailureLimiter

_HELP: Final = "Send the header `Authorization: Bearer sk-proj-…` with a key that this server accepts"
_RETRY_AFTER: Final = 5.0
"""Seconds."""


def hash_key(key: str) -> str:
    """Return the SHA-256 of a key in hexadecimal, by which the database identifies the key."""
    return hashlib.sha256(key.encode()).hexdigest()


class ApiKeys:
    """The keys that the server accepts. Addresses that have sent many wrong keys are slowed down."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._hashes = tuple(hash_key(key) for key in keys)
        self._limiter = FailureLimiter()

    def accepts(self, key_hash: str) -> bool:
        """Return whether the key with this hash is accepted."""
        return key_hash in self._hashes

    async def authenticate(self, authorization: str | None, address: str) -> str:
        """Return the hash of the key in an ``Authorization`` header from ``address``.

        Raise ApiError 401, or 429 if too many attempts of the address wait for their result.
        """
        if not authorization:
            raise _unauthorized(f"No API key. {_HELP}.")
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise _unauthorized(f"The Authorization header contains no bearer token. {_HELP}.")
        key_hash = hashlib.sha256(key.strip().encode("latin-1", "replace")).hexdigest()
        # A list, not a generator: the time of the comparison must not depend on which key matches.
        matches = [hmac.compare_digest(key_hash, known) for known in self._hashes]
        accepted = any(matches)
        if not (accepted and self._limiter.trusts(address, key_hash)):
            await self._slow_down(address)
        if not accepted:
            self._limiter.record_failure(address)
            raise _unauthorized(f"Invalid API key. {_HELP}; clients take it from CLAUDE_API_KEY.")
        self._limiter.trust(address, key_hash)
        return key_hash

    async def _slow_down(self, address: str) -> None:
        """Wait as long as the address has to, be the key right or wrong: the time must not tell which it is."""
        delay = self._limiter.delay(address)
        if not delay:
            return
        if not self._limiter.start_waiting(address):
            message = "Too many attempts with wrong API keys from this address. Wait, and check the key."
            raise ApiError(429, "rate_limit_error", message, retry_after=_RETRY_AFTER)
        try:
            await asyncio.sleep(delay)
        finally:
            self._limiter.stop_waiting(address)


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, "authentication_error", message, headers={"WWW-Authenticate": "Bearer"})
