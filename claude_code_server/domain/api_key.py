"""API keys: who a caller is, and the keys that are kept in the store."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

import attrs

from .permissions import UNLIMITED, Permissions

_PREFIX: Final = "sk-proj-"
STORED: Final = "key_"
"""Start of the ID of a stored key. A hash never starts with it."""


def hash_key(key: str) -> str:
    """Return the SHA-256 of a key in hexadecimal. Keys are kept and compared in this form only."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_key() -> str:
    """Return a new random key."""
    return f"{_PREFIX}{secrets.token_urlsafe(32)}"


@attrs.frozen
class Caller:
    """The key of a request."""

    owner: str
    """Identity to which tasks, usage and idempotency keys belong: the ID of a stored key, or the hash of another."""
    key_hash: str = attrs.field(repr=False)
    permissions: Permissions = UNLIMITED


ANONYMOUS: Final = Caller("", "")
"""Caller of an operation that needs no key."""


@attrs.frozen
class StoredKey:
    """A key that was created with ``claude-code-client keys``. Times are ISO 8601 in UTC."""

    id: str
    """Stays the same when the key is rotated."""
    name: str
    key_hash: str = attrs.field(repr=False)
    preset: str
    permissions: Permissions
    created_at: str
    expires_at: str | None = None
    last_used_at: str | None = None
    revoked_at: str | None = None

    def status(self, now: str) -> str:
        """Return ``active``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"
