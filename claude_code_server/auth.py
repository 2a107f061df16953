"""Who is asking: keys are compared by hash, and only the hash goes any further."""

import hashlib
import hmac
from collections.abc import Iterable

from .errors import ApiError

_HELP = "Send the header `Authorization: Bearer sk-proj-…` with a key that this server accepts"


def key_hash(key: str) -> str:
    """What stands for a key in the store: its sha256 in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


class Keys:
    """The accepted keys."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._hashes = tuple(key_hash(key) for key in keys)

    def check(self, authorization: str | None) -> str:
        """The hash of the key in an ``Authorization`` header. Raises ApiError 401."""
        if not authorization:
            raise _refused(f"No API key. {_HELP}.")
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise _refused(f"The Authorization header holds no bearer token. {_HELP}.")
        given = hashlib.sha256(key.strip().encode("latin-1", "replace")).hexdigest()
        matches = [hmac.compare_digest(given, accepted) for accepted in self._hashes]
        if not any(matches):
            raise _refused(f"Invalid API key. {_HELP}; clients take it from CLAUDE_API_KEY.")
        return given


def _refused(message: str) -> ApiError:
    return ApiError(401, "authentication_error", message, headers={"WWW-Authenticate": "Bearer"})
