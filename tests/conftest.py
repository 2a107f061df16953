"""Fixtures and settings of all tests."""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from pytest_httpserver import HTTPServer
from support import fork_server
from support.clients.background_work import wait_for_background_work
from support.clients.client_kinds import ClientKind, open_client_kind
from support.servers import raw_http
from support.servers.forked_local import forked_local_servers, new_local_servers

# Keep the developer's keys, settings and proxies away from clients, servers and agents under test.
for _name in list(os.environ):
    if _name.startswith(("ANTHROPIC_", "CLAUDE_")) or _name.lower().endswith("_proxy"):
        del os.environ[_name]

# A shell starts background jobs with SIGINT ignored, which the processes of the tests would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")

# Every test in these directories runs the real Claude Code, or needs a server process.
_SLOW_DIRECTORIES = tuple(f"{Path(__file__).with_name(name)}{os.sep}" for name in ("docs", "end_to_end"))

# Until everything is collected: nothing of it is garbage.
gc.disable()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Start the processes that fork once for all workers."""
    if fork_server.AVAILABLE:
        node.workerinput["fork_servers"] = str(fork_server.directory())


def pytest_configure(config: pytest.Config) -> None:
    """In a worker, use the processes that fork of the process that controls it."""
    if path := getattr(config, "workerinput", {}).get("fork_servers"):
        fork_server.share(path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of the slow directories as slow."""
    for item in items:
        if str(item.path).startswith(_SLOW_DIRECTORIES):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _no_background_work_left() -> Iterator[None]:
    """Wait for what clients finish in the background: its requests must not arrive at the server of the next test."""
    yield
    wait_for_background_work()


@pytest.fixture(autouse=True, scope="session")
def _port_of_httpserver(make_httpserver: HTTPServer) -> None:
    """Take the port of the fixture ``httpserver`` before any server of a test has had it."""


@pytest.fixture
def httpserver(make_httpserver: HTTPServer) -> HTTPServer:
    """The server of pytest-httpserver, once it has answered what earlier tests have sent and left."""
    # It serves one connection after another, in the order of their arrival.
    with socket.create_connection((make_httpserver.host, make_httpserver.port), raw_http.TIMEOUT) as connection:
        connection.sendall(b"GET /last HTTP/1.0\r\n\r\n")
        while connection.recv(1000):
            pass
    make_httpserver.clear()
    return make_httpserver


@pytest.fixture(params=["sync", "async"])
def both(request: pytest.FixtureRequest) -> Iterator[ClientKind]:
    """Run the test twice: with ``ClaudeClient`` and with ``AsyncClaudeClient``."""
    with open_client_kind(request.param) as kind:
        yield kind


@pytest.fixture(autouse=True, scope="session")
def _forked_local_servers() -> Iterator[None]:
    with forked_local_servers():
        yield


@pytest.fixture
def new_server() -> Iterator[None]:
    """Start the server of ``local()`` as a user's program does, instead of forking it."""
    with new_local_servers():
        yield


@pytest.fixture
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the backoff of retries and reconnects to hundredths of a second, for tests that exhaust them."""
    for module in ("reconnect", "retry"):
        monkeypatch.setattr(f"claude_code_client._policy.{module}.BASE_DELAY", 0.02)


def pytest_collection_finish() -> None:
    """Leave what has been collected out of garbage collections, of which some tests need many."""
    gc.freeze()
    gc.enable()
