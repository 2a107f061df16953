# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

"""URL of the hosted service."""

from typing import Final

SERVER_URL: Final = "https://api.claude.ai/v1"
"""The first of the contract's `servers`."""
