"""Loopback addresses."""

from __future__ import annotations


def is_loopback(host: str) -> bool:
    """Return whether traffic to ``host`` stays on this machine (RFC 6761, section 6.3, for ``localhost``)."""
    if host in ("localhost", "127.0.0.1") or host.endswith(".localhost"):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
