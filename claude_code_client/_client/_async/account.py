"""What the server tells about itself and the key, as methods of the asynchronous client."""

from __future__ import annotations

from ..._operations import account as operations
from ...models import Capabilities, Health, ModelInfo, UsageReport
from ..base import AsyncBase
from ..tracebacks import strip_tracebacks_async


class AsyncReads(AsyncBase):
    @strip_tracebacks_async
    async def list_models(self) -> list[ModelInfo]:
        """The models that may be named, with their prices and limits."""
        return await self._connection.run(operations.list_models(self._config))

    @strip_tracebacks_async
    async def get_usage(self, period: str = "month") -> UsageReport:
        """Tokens and cost of this key in the ``day``, ``week`` or ``month`` up to now."""
        return await self._connection.run(operations.get_usage(self._config, period))

    @strip_tracebacks_async
    async def get_capabilities(self) -> Capabilities:
        """The tools, agents and skills that this key may use."""
        return await self._connection.run(operations.get_capabilities(self._config))

    @strip_tracebacks_async
    async def get_health(self) -> Health:
        """Whether the server is up, and what it runs."""
        return await self._connection.run(operations.get_health(self._config))
