"""Pickling of clients: a pickle carries the configuration without secrets; the client reconnects where it arrives."""

from __future__ import annotations

import hashlib
import os
from typing import Any, Final, NoReturn
from weakref import WeakValueDictionary

import attrs

from .._config import Config, is_secret
from .._operations.client_state import ClientState, new_state
from ..errors import ConfigurationError

# Configurations of live clients in this process, or in the process it was forked from: a process pool forks its
# workers first and pickles their work later.
_live: WeakValueDictionary[str, Config] = WeakValueDictionary()
_pickled: dict[str, Config] = {}
# Keyed with a secret, so that a fingerprint in a pickle cannot be used to guess the API key.
_FINGERPRINT_KEY: Final = os.urandom(16)


def register(config: Config) -> Config:
    """Make ``config`` available to clients unpickled in this process; return it."""
    _live[_fingerprint(config)] = config
    return config


def dump(config: Config, state: ClientState) -> dict[str, Any]:
    """Return the pickled form of a client.

    Raises:
        ConfigurationError: A budget is open, which other processes could not keep to.
    """
    if state.budgets.active:
        raise ConfigurationError("A client with an open budget cannot be pickled: other processes would exceed it.")
    fingerprint = _fingerprint(config)
    _pickled[fingerprint] = config
    fields = attrs.asdict(config)
    del fields["api_key"]
    fields["headers"] = {name: value for name, value in config.headers.items() if not is_secret(name)}
    journal = None if state.journal is None else str(state.journal.path)
    return {"config": fields, "fingerprint": fingerprint, "journal": journal}


def load_config(pickled: dict[str, Any]) -> Config:
    """Return the configuration; in an unrelated process, with the key from CLAUDE_API_KEY (possibly none)."""
    fingerprint = pickled["fingerprint"]
    known = _pickled.get(fingerprint) or _live.get(fingerprint)
    if known is not None:
        return known
    return Config(api_key=os.environ.get("CLAUDE_API_KEY", "").strip(), **pickled["config"])


def load_state(pickled: dict[str, Any]) -> ClientState:
    """Return the state state by a client's connections, with its journal reopened on the same machine."""
    return new_state(pickled["journal"])


def refuse(what: str, instead: str) -> NoReturn:
    """Raise ConfigurationError for an object that belongs to its process."""
    raise ConfigurationError(f"{what} cannot be pickled or copied. Instead, {instead}.")


def _fingerprint(config: Config) -> str:
    facts = repr(sorted(attrs.asdict(config).items())).encode()
    return hashlib.blake2b(facts, key=_FINGERPRINT_KEY, digest_size=16).hexdigest()
