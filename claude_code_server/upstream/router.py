"""Several upstreams as one: each request goes to the upstream of its model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from ..domain.model_catalog import ModelCatalog
from ..domain.upstream_rules import UpstreamRule, find_rule
from .messages_stream import MessagesEvent
from .protocol import Upstream, UpstreamError


class UpstreamRouter:
    """Upstream that passes requests on, by rules about the names that the catalog has for their models."""

    def __init__(self, routes: Sequence[tuple[UpstreamRule, Upstream]], catalog: ModelCatalog) -> None:
        """Create a router that closes the upstreams of ``routes`` with itself."""
        self._upstreams = dict(routes)
        self._catalog = catalog
        self.name = ", ".join(dict.fromkeys(upstream.name for _, upstream in routes))
        self.free = all(upstream.free for _, upstream in routes)
        self.local = all(upstream.local for _, upstream in routes)

    def find(self, model: str) -> Upstream | None:
        """Return the upstream of a model; None if no rule is about it."""
        rule = find_rule(self._upstreams.keys(), self._catalog.names_of(model))
        return None if rule is None else self._upstreams[rule]

    def is_instant(self, request: Mapping[str, Any]) -> bool:
        upstream = self.find(str(request.get("model")))
        return upstream is not None and upstream.is_instant(request)

    async def complete(self, request: Mapping[str, Any], *, beta: str | None = None) -> dict[str, Any]:
        return await self._of(request).complete(request, beta=beta)

    def stream(self, request: Mapping[str, Any], *, beta: str | None = None) -> AsyncGenerator[MessagesEvent, None]:
        return self._of(request).stream(request, beta=beta)

    async def count_tokens(self, request: Mapping[str, Any], *, beta: str | None = None) -> int:
        return await self._of(request).count_tokens(request, beta=beta)

    async def aclose(self) -> None:
        for upstream in self._upstreams.values():
            await upstream.aclose()

    def _of(self, request: Mapping[str, Any]) -> Upstream:
        upstream = self.find(str(request.get("model")))
        if upstream is None:
            raise UpstreamError(404, "not_found_error", "no upstream serves this model")
        return upstream
