"""Where the models are: Anthropic's API, any server of the Messages format, or the offline stand-in."""

from . import sse
from ._http import HttpUpstream, is_loopback
from ._offline import OfflineUpstream
from .base import Upstream, UpstreamError
from .sse import Event

ANTHROPIC_URL = "https://api.anthropic.com"

__all__ = [
    "ANTHROPIC_URL",
    "Event",
    "HttpUpstream",
    "OfflineUpstream",
    "Upstream",
    "UpstreamError",
    "is_loopback",
    "open",
    "sse",
]


def open(spec: str, api_key: str | None = None) -> Upstream:
    """The upstream of ``spec``: ``anthropic``, ``offline``, or the http(s) address of a Messages endpoint.

    ``anthropic`` needs a key, an address may have one, ``offline`` has no use for it.
    Raises ValueError, without the key in its text.
    """
    if spec == "offline":
        return OfflineUpstream()
    if spec != "anthropic":
        return HttpUpstream(spec, api_key)
    if not api_key:
        raise ValueError("the anthropic upstream needs a key: set ANTHROPIC_API_KEY, or use the offline upstream")
    return HttpUpstream(ANTHROPIC_URL, api_key)
