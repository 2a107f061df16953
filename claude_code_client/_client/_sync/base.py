# Generated from ../_async/base.py by `make generate`; not to be edited.

"""Attributes that the groups of client methods share."""

from __future__ import annotations

from ..._config import Config
from ..._transport.sync_connection import SyncConnection


class Base:
    """Attributes that every group of methods uses."""

    _config: Config
    _connection: SyncConnection
