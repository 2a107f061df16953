"""Client methods for models, usage, capabilities and health."""

from __future__ import annotations

from ...models import Capabilities, Health, ModelInfo, UsageReport
from ..tracebacks import strip_tracebacks_async
from .base import AsyncBase

# Operations are imported when they are first used: most programs need none of these.


class AsyncAccount(AsyncBase):
    """Methods about models, usage, capabilities and health."""

    @strip_tracebacks_async
    async def list_models(self) -> list[ModelInfo]:
        """Return the models that calls may name, with their prices and limits.

        Raises:
            ClaudeAPIError: The call failed.
        """
        from ..._operations import account

        return await self._connection.run(account.list_models(self._config))

    @strip_tracebacks_async
    async def get_usage(self, period: str = "month") -> UsageReport:
        """Return the tokens and cost of this key in the current ``day``, ``week`` or ``month``.

        Args:
            period: ``"day"``, ``"week"`` or ``"month"``, each up to now.

        Raises:
            InvalidRequestError: The period is none of these; nothing was sent.
            ClaudeAPIError: The call failed.
        """
        from ..._operations import account

        return await self._connection.run(account.get_usage(self._config, period))

    @strip_tracebacks_async
    async def get_capabilities(self) -> Capabilities:
        """Return the tools, agents and skills that this key may use.

        Raises:
            ClaudeAPIError: The call failed.
        """
        from ..._operations import account

        return await self._connection.run(account.get_capabilities(self._config))

    @strip_tracebacks_async
    async def get_health(self) -> Health:
        """Return the state of the server, and the versions that it runs.

        Raises:
            ClaudeAPIError: The call failed.
        """
        from ..._operations import account

        return await self._connection.run(account.get_health(self._config))
