# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

"""A client library for accessing Claude Code API.

Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client import AuthenticatedClient, Client
else:

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import client

        value = globals()[name] = getattr(client, name)
        return value

    def __dir__():
        return sorted({*globals(), *__all__})


__all__ = ("AuthenticatedClient", "Client")
