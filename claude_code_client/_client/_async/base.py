"""Attributes that the groups of client methods share."""

from __future__ import annotations

from ..._config import Config
from ..._transport.async_connection import AsyncConnection


class AsyncBase:
    """Attributes that every group of methods uses."""

    _config: Config
    _connection: AsyncConnection
