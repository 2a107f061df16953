"""A server, a proxy in front of it, and many callers at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fault_proxy import FaultProxy, proxying
from support.scripted_server import Scripted, scripted


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Scripted]:
    with scripted(tmp_path) as running:
        yield running


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    with proxying() as running:
        yield running
