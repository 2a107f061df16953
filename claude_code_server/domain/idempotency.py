"""Idempotency keys: one response per key and body, however often a client sends the request."""

from __future__ import annotations

import attrs

from .errors import ApiError
from .usage import Usage


@attrs.frozen
class IdempotencyKey:
    """The ``Idempotency-Key`` of one request."""

    owner: str
    """Identity of the caller's API key (``Caller.owner``)."""
    scope: str
    """Kind of response: keys of different scopes are independent."""
    value: str
    """Value of the header."""
    fingerprint: str
    """Hash of the request body."""

    def same_as(self, other: IdempotencyKey) -> bool:
        """Return whether both are one key, for whatever bodies."""
        return (self.owner, self.scope, self.value) == (other.owner, other.scope, other.value)

    def check_fingerprint(self, fingerprint: str) -> None:
        """Raise ApiError 409 unless ``fingerprint``, of the first request with this key, is that of the same body."""
        if fingerprint != self.fingerprint:
            raise ApiError(
                409,
                "idempotency_error",
                "This Idempotency-Key was used with a different body. Use a new key for a new request.",
            )


@attrs.frozen
class StoredResponse:
    """The response stored under an idempotency key."""

    fingerprint: str
    """Hash of the body of the request that the response belongs to."""
    value: str


@attrs.frozen
class PaidCompletion:
    """A completion to store: its usage, and the response for requests that repeat it; neither if it was refused."""

    owner: str
    at: str
    model: str
    usage: Usage
    key: IdempotencyKey | None = None
    response: str = ""
    """JSON; stored under ``key``."""
    reservation: int | None = None
    """Number of the reservation that the usage replaces."""
    durable: bool = True
    """False if a power failure may lose it: a completion that is free can be requested again for nothing."""
