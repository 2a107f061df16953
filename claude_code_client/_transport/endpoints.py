"""``client.api``: what generated endpoint functions take as their ``client``, on the facade's own connections.

The generated class would hold the key (and show it), open pools of its own, and change its parent in ``with_headers``.
"""

from __future__ import annotations

from typing import Any, Generic, Never, Self, TypeVar

import httpx
from claude_code_api import AuthenticatedClient

from .._config import Config, override
from ..errors import ConfigurationError
from .async_connection import AsyncConnection
from .sync_connection import SyncConnection

C = TypeVar("C", SyncConnection, AsyncConnection)

_PLACEHOLDER = "held by the connection"
_FIXED = "client.api uses its client's connections; for others, make a claude_code_api.AuthenticatedClient."


class Endpoints(AuthenticatedClient, Generic[C]):
    def __init__(self, connection: C) -> None:
        super().__init__(base_url=connection.config.base_url, token=_PLACEHOLDER)
        self._connection: C = connection

    def with_headers(self, headers: dict[str, str]) -> Self:
        """The same connections, with more headers; this one stays as it is."""
        return self._with(override(self._connection.config, headers=headers))

    def with_cookies(self, cookies: dict[str, str]) -> Self:
        """The same connections, with cookies; this one stays as it is."""
        return self.with_headers({"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())})

    def with_timeout(self, timeout: httpx.Timeout | float) -> Self:
        """The same connections, with another timeout (seconds) for the whole call; this one stays as it is."""
        seconds = timeout.read if isinstance(timeout, httpx.Timeout) else timeout
        return self._with(override(self._connection.config, timeout=seconds))

    def set_httpx_client(self, client: httpx.Client) -> Never:
        raise ConfigurationError(_FIXED)

    def set_async_httpx_client(self, async_client: httpx.AsyncClient) -> Never:
        raise ConfigurationError(_FIXED)

    def _with(self, config: Config) -> Self:
        return type(self)(self._connection.reconfigured(config))


class SyncEndpoints(Endpoints[SyncConnection]):
    """Pass it to the ``sync`` and ``sync_detailed`` functions of ``claude_code_api.api``.

    Calls have the key, retries, deadline, logging and exceptions of the facade. An answer that is not a success
    raises the facade's exception.
    """

    def get_httpx_client(self) -> httpx.Client:
        return self._connection.checked_http

    def get_async_httpx_client(self) -> Never:
        raise ConfigurationError(
            "This is the api of a ClaudeClient: call the endpoint's sync functions, or use AsyncClaudeClient."
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to do: the facade's client closes the connections."""


class AsyncEndpoints(Endpoints[AsyncConnection]):
    """Pass it to the ``asyncio`` and ``asyncio_detailed`` functions of ``claude_code_api.api``.

    Calls have the key, retries, deadline, logging and exceptions of the facade. An answer that is not a success
    raises the facade's exception.
    """

    def get_async_httpx_client(self) -> httpx.AsyncClient:
        return self._connection.checked_http

    def get_httpx_client(self) -> Never:
        raise ConfigurationError(
            "This is the api of an AsyncClaudeClient: call the endpoint's asyncio functions, or use ClaudeClient."
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to do: the facade's client closes the connections."""
