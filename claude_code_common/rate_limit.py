"""Rate limit of a key, as a response states it."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class RateLimit:
    """Rate limit of the key, as a response states it; None for a value that it does not state."""

    limit: int | None = None
    """Requests in a window."""
    remaining: int | None = None
    """Requests that are left in this window."""
    reset: float | None = None
    """Seconds from the response until the next window."""
