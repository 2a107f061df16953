"""Base of the client's methods."""

from __future__ import annotations

from ..._config import Config
from ..._transport import AsyncConnection


class AsyncBase:
    """Attributes that every group of methods uses."""

    _config: Config
    _connection: AsyncConnection
