"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from support.both import Both, open_both

# Nothing of the developer's own environment may reach a client, a server or an agent under test.
for _name in list(os.environ):
    if _name.startswith(("ANTHROPIC_", "CLAUDE_")) or _name.lower().endswith("_proxy"):
        del os.environ[_name]


@pytest.fixture(params=["sync", "async"])
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    """Runs a test once with ``ClaudeClient`` and once with ``AsyncClaudeClient``."""
    with open_both(request.param) as kind:
        yield kind
