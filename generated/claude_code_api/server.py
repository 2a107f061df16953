# Generated from openapi/claude-code-api.yaml by `make generate`; not to be edited.

"""Where the contract says that the server is."""

from typing import Final

SERVER_URL: Final = "https://api.claude.ai/v1"
"""The first of the contract's `servers`."""
