"""Clients in pickles: they take their configuration along, but nothing secret, and connect anew where they arrive."""

from __future__ import annotations

import hashlib
import os
from typing import Any, Final
from weakref import WeakValueDictionary

import attrs

from ._config import Config, is_secret
from ._journal import Journal
from ._shared import Shared
from .errors import ConfigurationError

# Configurations of the clients of this process, or of the one that it was forked from: a process pool forks its
# workers first, and pickles what they are to work on later.
_alive: WeakValueDictionary[str, Config] = WeakValueDictionary()
_pickled: dict[str, Config] = {}
# Without it nobody can try keys on a pickle's mark.
_SALT: Final = os.urandom(16)


def remember(config: Config) -> Config:
    """Let a pickle of a client with this configuration find it again."""
    _alive[_mark(config)] = config
    return config


def to_state(config: Config, shared: Shared) -> dict[str, Any]:
    """What a pickle has of a client. Raises ConfigurationError within a budget, which other processes cannot keep."""
    if shared.ledger.active:
        raise ConfigurationError(
            "A client cannot be pickled within a budget: other processes would not count against it."
        )
    mark = _mark(config)
    _pickled[mark] = config
    state = attrs.asdict(config)
    del state["api_key"]
    headers = {name: value for name, value in config.headers.items() if not is_secret(name)}
    journal = None if shared.journal is None else str(shared.journal.path)
    return {**state, "headers": headers, "mark": mark, "journal": journal}


def shared_from_state(state: dict[str, Any]) -> Shared:
    """The journal again; it is for processes on the same machine."""
    return Shared(journal=None if state["journal"] is None else Journal(state["journal"]))


def from_state(state: dict[str, Any]) -> Config:
    """The configuration again; in another process, with its CLAUDE_API_KEY. Without one, calls will fail."""
    known = _pickled.get(state["mark"]) or _alive.get(state["mark"])
    if known is not None:
        return known
    rest = {name: value for name, value in state.items() if name not in ("mark", "journal")}
    return Config(api_key=os.environ.get("CLAUDE_API_KEY", "").strip(), **rest)


def _mark(config: Config) -> str:
    facts = repr(sorted(attrs.asdict(config).items())).encode()
    return hashlib.blake2b(facts, key=_SALT, digest_size=16).hexdigest()
