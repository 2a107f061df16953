"""Embedded server with a scripted engine, and a fault proxy to put in front of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.clients.background_work import CLEANUPS, wait_for_background_work
from support.fault_proxy.proxy import FaultProxy, fault_proxy
from support.servers.context_server import ContextServer, context_server


@pytest.fixture(scope="package")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContextServer]:
    with context_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def server(_server: ContextServer) -> Iterator[ContextServer]:
    with _server.reset() as fresh:
        yield fresh


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    with fault_proxy() as running:
        yield running
        # What clients still send must not arrive at the next server that is given one of these ports.
        wait_for_background_work(CLEANUPS)
