"""Clients in pickles: they take their configuration along, but not the key, and connect anew where they arrive."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import attrs

from ._config import Config
from .errors import AuthenticationError

_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})

# Keys of clients that were pickled in this process, or in the one that it was forked from.
_known: dict[str, str] = {}


def to_state(config: Config) -> dict[str, Any]:
    """What a pickle has of a client's configuration."""
    mark = hashlib.sha256(config.api_key.encode()).hexdigest()
    _known[mark] = config.api_key
    state = attrs.asdict(config)
    del state["api_key"]
    headers = {name: value for name, value in config.headers.items() if name.lower() not in _SECRET_HEADERS}
    return {**state, "headers": headers, "key_mark": mark}


def from_state(state: dict[str, Any]) -> Config:
    """The configuration again, with the key of this process. Raises AuthenticationError if there is none."""
    state = dict(state)
    key = _known.get(state.pop("key_mark")) or os.environ.get("CLAUDE_API_KEY")
    if not key:
        raise AuthenticationError(
            "A pickled client does not carry its API key. Set CLAUDE_API_KEY in the process that unpickles it."
        )
    return Config(api_key=key, **state)
