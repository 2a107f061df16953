"""``client.api``: the ``client`` argument of generated endpoints, on the connections of one client.

The generated class would hold and show the key, open its own pools, and change its parent in ``with_headers``.
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
_FIXED = "client.api uses the connections of its client; for others, create a claude_code_api.AuthenticatedClient."


class Endpoints(AuthenticatedClient, Generic[C]):
    """Common part of both clients' endpoints."""

    def __init__(self, connection: C) -> None:
        super().__init__(base_url=connection.config.base_url, token=_PLACEHOLDER)
        self._connection: C = connection

    def with_headers(self, headers: dict[str, str]) -> Self:
        """Return endpoints with more headers on the same connections; these stay as they are."""
        return self._with(override(self._connection.config, headers=headers))

    def with_cookies(self, cookies: dict[str, str]) -> Self:
        """Return endpoints with cookies on the same connections; these stay as they are."""
        return self.with_headers({"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())})

    def with_timeout(self, timeout: httpx.Timeout | float) -> Self:
        """Return endpoints with another timeout (seconds) for a whole call; these stay as they are."""
        seconds = timeout.read if isinstance(timeout, httpx.Timeout) else timeout
        return self._with(override(self._connection.config, timeout=seconds))

    def set_httpx_client(self, client: httpx.Client) -> Never:
        raise ConfigurationError(_FIXED)

    def set_async_httpx_client(self, async_client: httpx.AsyncClient) -> Never:
        raise ConfigurationError(_FIXED)

    def _with(self, config: Config) -> Self:
        return type(self)(self._connection.reconfigured(config))


class SyncEndpoints(Endpoints[SyncConnection]):
    """The ``client`` argument of the ``sync`` and ``sync_detailed`` functions in ``claude_code_api.api``.

    Calls have the key, retries, deadline, logging and exceptions of the client's methods. An
    error response raises the exception that these would raise.
    """

    def get_httpx_client(self) -> httpx.Client:
        return self._connection.checked_http

    def get_async_httpx_client(self) -> Never:
        raise ConfigurationError(
            "This is the api of a ClaudeClient: use the sync functions of the endpoint, or an AsyncClaudeClient."
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: closing the client closes the connections."""


class AsyncEndpoints(Endpoints[AsyncConnection]):
    """The ``client`` argument of the ``asyncio`` and ``asyncio_detailed`` functions in ``claude_code_api.api``.

    Calls have the key, retries, deadline, logging and exceptions of the client's methods. An
    error response raises the exception that these would raise.
    """

    def get_async_httpx_client(self) -> httpx.AsyncClient:
        return self._connection.checked_http

    def get_httpx_client(self) -> Never:
        raise ConfigurationError(
            "This is the api of an AsyncClaudeClient: use the asyncio functions of the endpoint, or a ClaudeClient."
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: closing the client closes the connections."""
