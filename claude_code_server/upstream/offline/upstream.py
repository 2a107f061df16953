"""Upstream whose replies come from the offline model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from ..messages_stream import MessagesEvent, message_events

_SHORT: Final = 4_000
"""Characters of a plain request up to which the reply takes less time than to start a thread."""


class OfflineUpstream:
    """Upstream inside the server: no key, no network, no cost."""

    name = "offline"
    free = True
    local = True

    def is_instant(self, request: Mapping[str, Any]) -> bool:
        return _is_short(request)

    async def complete(self, request: Mapping[str, Any], *, beta: str | None = None) -> dict[str, Any]:
        # Imported on first use: the rules are large, and only this upstream needs them.
        from .model import respond

        if _is_short(request):
            return respond(request)
        return await asyncio.to_thread(respond, request)

    async def stream(
        self, request: Mapping[str, Any], *, beta: str | None = None
    ) -> AsyncGenerator[MessagesEvent, None]:
        for event in message_events(await self.complete(request, beta=beta)):
            yield event

    async def count_tokens(self, request: Mapping[str, Any], *, beta: str | None = None) -> int:
        response = await self.complete({**request, "max_tokens": 1}, beta=beta)
        return int(response["usage"]["input_tokens"])

    async def aclose(self) -> None:
        return None


def _is_short(request: Mapping[str, Any]) -> bool:
    """Return whether a request is a plain completion with little text."""
    if request.get("tools"):
        return False
    characters = 0
    for text in (request.get("system") or "", *[message.get("content") for message in request.get("messages") or ()]):
        if not isinstance(text, str):
            return False
        characters += len(text)
    return characters <= _SHORT
