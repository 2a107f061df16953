"""A server, a proxy in front of it, and many callers at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.fault_proxy import FaultProxy, proxying
from support.scripted_server import Scripted, scripted


@pytest.fixture(scope="package")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with scripted(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def server(_server: Scripted) -> Iterator[Scripted]:
    with _server.afresh() as fresh:
        yield fresh


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    with proxying() as running:
        yield running
