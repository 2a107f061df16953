"""Choice of the upstream by its name or URL."""

from __future__ import annotations

from typing import Final

from ..domain.settings import Settings
from .offline.upstream import OfflineUpstream
from .protocol import Upstream
from .router import UpstreamRouter

ANTHROPIC_URL: Final = "https://api.anthropic.com"


def open_upstreams(settings: Settings) -> Upstream:
    """Open the upstream of a server, or a router to several. Raise ValueError, without a key in its message."""
    if not settings.upstream_rules:
        return open_upstream(settings.upstream, settings.upstream_key)
    routes = []
    for rule in settings.upstream_rules:
        # Each key for one upstream: Anthropic's must not reach whoever serves the other models.
        key = rule.key or (settings.upstream_key if rule.upstream == "anthropic" else None)
        try:
            routes.append((rule, open_upstream(rule.upstream, key)))
        except ValueError as error:
            raise ValueError(f"upstream of the models {rule.pattern}: {error}") from None
    return UpstreamRouter(routes, settings.catalog)


def open_upstream(spec: str, api_key: str | None = None) -> Upstream:
    """Open the upstream of ``spec``: ``anthropic``, ``offline``, or the http(s) URL of a Messages endpoint.

    ``anthropic`` requires a key, a URL may have one, ``offline`` ignores it.
    Raise ValueError, without the key in its message.
    """
    if spec == "offline":
        return OfflineUpstream()
    from .http_upstream import HttpUpstream  # with httpx, which the offline upstream does without

    if spec != "anthropic":
        return HttpUpstream(spec, api_key)
    if not api_key:
        raise ValueError("the anthropic upstream needs a key: set ANTHROPIC_API_KEY, or use the offline upstream")
    return HttpUpstream(ANTHROPIC_URL, api_key)
