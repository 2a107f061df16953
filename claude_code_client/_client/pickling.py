"""Pickling of clients: a pickle carries the configuration without secrets; the client reconnects where it arrives."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, NoReturn
from weakref import WeakValueDictionary

import attrs

from .._config import Config, is_secret
from .._operations.client_state import ClientState, new_state
from ..errors import ConfigurationError

# Configurations of live clients in this process, or in the process it was forked from: a process pool forks its
# workers first and pickles their work later.
_live: WeakValueDictionary[int, Config] = WeakValueDictionary()
_pickled: dict[str, Config] = {}
# Keyed with a secret, so that a fingerprint in a pickle cannot be used to guess the API key.
_FINGERPRINT_KEY: Final = os.urandom(16)


def register(config: Config) -> Config:
    """Make ``config`` available to clients unpickled in this process; return it."""
    _live[id(config)] = config
    return config


def dump(config: Config, state: ClientState) -> dict[str, Any]:
    """Return the pickled form of a client.

    Raises:
        ConfigurationError: A budget is open, which other processes could not keep to.
    """
    if state.budgets.active:
        raise ConfigurationError("A client with an open budget cannot be pickled: other processes would exceed it.")
    journal = None if state.journal is None else str(state.journal.path)
    return {**dump_config(config), "journal": journal, "cache": state.cache, "cache_scope": state.cache_scope}


def dump_config(config: Config) -> dict[str, Any]:
    """Return the pickled form of a configuration, without the key and secret headers."""
    name = fingerprint(config)
    _pickled[name] = config
    fields = attrs.asdict(config)
    # A proxy may have a password; a TLS context belongs to its process.
    del fields["api_key"], fields["proxy"], fields["ssl_context"]
    fields["headers"] = {name: value for name, value in config.headers.items() if not is_secret(name)}
    return {"config": fields, "fingerprint": name}


def load_config(pickled: Mapping[str, Any]) -> Config:
    """Return the configuration; in an unrelated process, with the key from CLAUDE_API_KEY (possibly none)."""
    known = known_config(pickled)
    if known is not None:
        return known
    return transported_config(pickled, os.environ.get("CLAUDE_API_KEY", "").strip())


def known_config(pickled: Mapping[str, Any]) -> Config | None:
    """Return the configuration itself if it is from this process, or from the one it was forked from."""
    name = pickled["fingerprint"]
    live = (config for config in list(_live.values()) if fingerprint(config) == name)
    return _pickled.get(name) or next(live, None)


def transported_config(pickled: Mapping[str, Any], api_key: str) -> Config:
    """Return the configuration with another key, and without secret headers."""
    return Config(api_key=api_key, **pickled["config"])


def load_state(pickled: dict[str, Any]) -> ClientState:
    """Return the state state by a client's connections, with its journal reopened on the same machine."""
    state = new_state(pickled["journal"], cache=pickled["cache"])
    state.cache_scope = pickled["cache_scope"]
    return state


def refuse(what: str, instead: str) -> NoReturn:
    """Raise ConfigurationError for an object that belongs to its process."""
    raise ConfigurationError(f"{what} cannot be pickled or copied. Instead, {instead}.")


def fingerprint(config: Config) -> str:
    """Return a name of the configuration, secrets included, that means nothing outside of this process."""
    import hashlib  # most programs pickle no client

    facts = repr(sorted(attrs.asdict(config).items())).encode()
    return hashlib.blake2b(facts, key=_FINGERPRINT_KEY, digest_size=16).hexdigest()
