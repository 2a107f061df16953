"""What the methods of a client work on."""

from __future__ import annotations

from .._config import Config
from .._transport import AsyncConnection, SyncConnection


class SyncBase:
    _config: Config
    _connection: SyncConnection


class AsyncBase:
    _config: Config
    _connection: AsyncConnection
