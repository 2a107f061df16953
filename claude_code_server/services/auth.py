"""Authentication by API key. Keys are compared by hash, and only hashes leave this module."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from ..domain.api_key import STORED, Caller, hash_key
from ..domain.errors import ApiError
from ..domain.permissions import UNLIMITED, Permissions
from .failure_limiter import FailureLimiter
from .stored_keys import StoredKeys

_HELP: Final = "Send the header `Authorization: Bearer sk-proj-…` with a key that this server accepts"
_RETRY_AFTER: Final = 5.0
"""Seconds."""


class ApiKeys:
    """The keys that the server accepts: those that it was started with, which may do everything, and stored ones.

    Addresses that have sent many wrong keys are slowed down.
    """

    def __init__(self, keys: Iterable[str], stored: StoredKeys | None = None) -> None:
        hashes = dict.fromkeys(hash_key(key) for key in keys)
        self._given = tuple(Caller(key_hash, key_hash) for key_hash in hashes)
        self._stored = stored
        self._limiter = FailureLimiter()

    def accepts(self, owner: str) -> bool:
        """Return whether a key with this identity (``Caller.owner``) is accepted."""
        stored = () if self._stored is None else self._stored.callers
        return any(caller.owner == owner for caller in (*self._given, *stored))

    async def authenticate(self, authorization: str | None, address: str) -> Caller:
        """Return the owner of the key in an ``Authorization`` header from ``address``.

        Raise ApiError 401, or 429 if too many attempts of the address wait for their result.
        """
        if not authorization:
            raise _unauthorized(f"No API key. {_HELP}.")
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise _unauthorized(f"The Authorization header contains no bearer token. {_HELP}.")
        key_hash = hashlib.sha256(key.strip().encode("latin-1", "replace")).hexdigest()
        caller = self._find(key_hash)
        if not (caller and self._limiter.trusts(address, key_hash)):
            await self._slow_down(address)
            # The key may have been revoked while it waited.
            caller = self._find(key_hash)
        if caller is None:
            self._limiter.record_failure(address)
            raise invalid_key()
        self._limiter.trust(address, key_hash)
        if self._stored is not None:
            self._stored.note_use(caller)
        return caller

    def ended(self, caller: Caller) -> asyncio.Event | None:
        """Return an event that is set when the caller's key has ended; None for a key that never ends."""
        return None if self._stored is None else self._stored.ended(caller)

    def permissions(self, owner: str) -> Permissions:
        """Return the permissions of a key by its identity. One that is not stored any more may spend nothing."""
        if not owner.startswith(STORED):
            return UNLIMITED
        return (self._stored and self._stored.permissions(owner)) or Permissions(day_budget=0)

    def _find(self, key_hash: str) -> Caller | None:
        """Return the owner of a key. A key that has expired or been revoked is looked for like one that never was."""
        found = _matching(key_hash, self._given)
        if found is None and self._stored is not None:
            self._stored.refresh()
            found = _matching(key_hash, self._stored.callers)
        return found

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


def _matching(key_hash: str, callers: Iterable[Caller]) -> Caller | None:
    # A list, not a generator: the time of the comparison must not depend on which key matches.
    found = [caller for caller in callers if hmac.compare_digest(key_hash, caller.key_hash)]
    return found[0] if found else None


def invalid_key() -> ApiError:
    """Return a 401 for a key that the server does not accept, or not any more."""
    return _unauthorized(f"Invalid API key. {_HELP}; clients take it from CLAUDE_API_KEY.")


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, "authentication_error", message, headers={"WWW-Authenticate": "Bearer"})
