"""Fixtures of the tests of the server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.servers.scripted_engine import Gate


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Gate that a scripted run waits at; it is open at the end, so that the server can stop."""
    yield (gate := Gate())
    if not gate._opened.done():
        gate.open()
