"""server.py of the package: where the contract says that the server is."""

from .contract import Contract
from .errors import GenerationError

_TEMPLATE = '''"""Where the contract says that the server is."""

from typing import Final

SERVER_URL: Final = {url!r}
"""The first of the contract's `servers`."""
'''


def server_module(contract: Contract) -> str:
    """The source of server.py."""
    servers = contract.document.get("servers")
    if not servers or "{" in servers[0]["url"]:
        raise GenerationError("the contract must name a server whose url has no variables")
    return _TEMPLATE.format(url=servers[0]["url"])
