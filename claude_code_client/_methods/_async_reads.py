"""What the server tells about itself and the key, as methods of the asynchronous client."""

from __future__ import annotations

from .. import _calls
from .._seal import sealed_async
from ..models import Capabilities, Health, ModelInfo, UsageReport
from ._base import AsyncBase


class AsyncReads(AsyncBase):
    @sealed_async
    async def list_models(self) -> list[ModelInfo]:
        """The models that may be named, with their prices and limits."""
        return await self._connection.run(_calls.models(self._config))

    @sealed_async
    async def get_usage(self, period: str = "month") -> UsageReport:
        """Tokens and cost of this key in the ``day``, ``week`` or ``month`` up to now."""
        return await self._connection.run(_calls.usage(self._config, period))

    @sealed_async
    async def get_capabilities(self) -> Capabilities:
        """The tools, agents and skills that this key may use."""
        return await self._connection.run(_calls.capabilities(self._config))

    @sealed_async
    async def get_health(self) -> Health:
        """Whether the server is up, and what it runs."""
        return await self._connection.run(_calls.health(self._config))
