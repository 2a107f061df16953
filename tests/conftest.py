"""What all tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings
from support.clients.client_kinds import ClientKind, open_client_kind

# Nothing of the developer's own environment may reach a client, a server or an agent under test.
for _name in list(os.environ):
    if _name.startswith(("ANTHROPIC_", "CLAUDE_")) or _name.lower().endswith("_proxy"):
        del os.environ[_name]

# A shell starts what it puts into the background with SIGINT ignored, and whatever that starts would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, and nothing kept on the disk.
os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = os.devnull
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")


@pytest.fixture(params=["sync", "async"])
def both(request: pytest.FixtureRequest) -> Iterator[ClientKind]:
    """Runs a test once with ``ClaudeClient`` and once with ``AsyncClaudeClient``."""
    with open_client_kind(request.param) as kind:
        yield kind


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries and reconnections that wait for hundredths of a second, for tests that use all of them up."""
    for module in ("_reconnect", "_retry"):
        monkeypatch.setattr(f"claude_code_client.{module}.BASE_DELAY", 0.02)
