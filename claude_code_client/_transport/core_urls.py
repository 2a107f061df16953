"""URLs and origins as httpcore takes them."""

from __future__ import annotations

import httpcore

from .messages import Server


def core_url(server: Server, target: bytes) -> httpcore.URL:
    """Return the URL of a request target (path and query)."""
    return httpcore.URL(scheme=server.scheme, host=server.host, port=server.port, target=target)


def origin_of(server: Server) -> httpcore.Origin:
    """Return the origin that connections to a server have."""
    return core_url(server, b"/").origin
