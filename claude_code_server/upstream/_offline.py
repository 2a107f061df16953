"""The upstream inside the server: rules instead of a language model, no key, no network."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from . import sse


class OfflineUpstream:
    """Answers from ``claude_code_server.offline``."""

    name = "offline"
    free = True

    async def complete(self, request: Mapping[str, Any], *, beta: str | None = None) -> dict[str, Any]:
        from claude_code_server.offline import reply

        return await asyncio.to_thread(reply, request)

    async def stream(self, request: Mapping[str, Any], *, beta: str | None = None) -> AsyncGenerator[sse.Event, None]:
        for event in sse.events_of(await self.complete(request, beta=beta)):
            yield event

    async def count_tokens(self, request: Mapping[str, Any], *, beta: str | None = None) -> int:
        reply = await self.complete({**request, "max_tokens": 1}, beta=beta)
        return int(reply["usage"]["input_tokens"])

    async def aclose(self) -> None:
        return None
