"""Source of server.py: the URL of the hosted service."""

from __future__ import annotations

from .contract import Contract
from .errors import GenerationError

_TEMPLATE = '''"""URL of the hosted service."""

from typing import Final

SERVER_URL: Final = {url!r}
"""The first of the contract's `servers`."""
'''


def server_module(contract: Contract) -> str:
    """Return the source of server.py. Raises GenerationError unless the contract names a server with a constant URL."""
    servers = contract.document.get("servers")
    if not servers or "{" in servers[0]["url"]:
        raise GenerationError("the contract must name a server whose url has no variables")
    return _TEMPLATE.format(url=servers[0]["url"])
