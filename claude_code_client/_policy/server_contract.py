"""Knowledge of one server: whether it keeps the contract, so that an idempotency key makes it run a call once."""

from __future__ import annotations

import attrs


@attrs.define(eq=False)
class ServerContract:
    """Knowledge about one server, shared by all calls of a client. A server that has shown it once keeps it."""

    kept: bool = False
    """True once the server has shown that it keeps the contract, ``Idempotency-Key`` included."""
