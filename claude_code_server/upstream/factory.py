"""Choice of the upstream by its name or URL."""

from __future__ import annotations

from typing import Final

from .offline.upstream import OfflineUpstream
from .protocol import Upstream

ANTHROPIC_URL: Final = "https://api.anthropic.com"


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
