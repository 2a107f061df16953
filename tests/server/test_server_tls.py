"""HTTPS of the embedded server, with a private certificate authority."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme
from support.clients.client_kinds import ClientKind
from support.clients.raw_connection import head
from support.servers.embedded_server import KEY, Running, serving
from support.servers.scripted_engine import DONE, ScriptedEngine, says

from claude_code_client import APIConnectionError
from claude_code_client._transport import http_options
from claude_code_server.domain.settings import Settings
from claude_code_server.process import cli
from claude_code_server.runtime import acceptor


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make clients trust the private authority."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    http_options._tls_context.cache_clear()
    yield
    http_options._tls_context.cache_clear()


@pytest.fixture(scope="module")
def server(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("tls")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for part in certificate.cert_chain_pems:
        part.write_to_path(folder / "cert.pem", append=True)
    workspace = folder / "workspace"
    workspace.mkdir()
    files = {"tls_cert": folder / "cert.pem", "tls_key": folder / "key.pem"}
    with serving(workspace, ScriptedEngine(says("a"), DONE), **files) as running:  # type: ignore[arg-type]
        yield running


def test_calls_and_streams_work_over_tls(both: ClientKind, server: Running, trusted: None) -> None:
    assert server.base_url.startswith("https://127.0.0.1:")
    client = both.client(server.base_url, api_key=KEY)
    assert both.call(client.execute_task("a")).status == "completed"
    assert [event["type"] for event in both.each(client.stream_task("a"))] == ["thinking", "result"]
    assert both.call(client.complete("What is Python?")).content


def test_an_unknown_authority_is_not_trusted(both: ClientKind, server: Running) -> None:
    http_options._tls_context.cache_clear()
    with pytest.raises(APIConnectionError, match="certificate"):
        both.call(both.client(server.base_url, api_key=KEY).get_health())


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_of_tls_and_plain_text_are_refused(server: Running, authority: trustme.CA) -> None:
    with socket.create_connection(server.address, 10) as plain:
        plain.sendall(head())
        with contextlib.suppress(ConnectionError):
            assert not plain.recv(1000).startswith(b"HTTP/")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection(server.address, 10) as plain,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_handshakes_that_do_not_go_on_keep_nobody_out(
    server: Running, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "_MAX_HANDSHAKES", 5)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with contextlib.ExitStack() as stack:
        loop = server.services.loop
        # All at once, so that some have to leave before their handshake begins.
        accepting, go_on = threading.Event(), threading.Event()

        def pause() -> None:
            accepting.set()
            go_on.wait(10)

        loop.call_soon_threadsafe(pause)
        assert accepting.wait(10)
        idle = [stack.enter_context(socket.create_connection(server.address, 10)) for _ in range(20)]
        go_on.set()
        with httpx.Client(verify=context, timeout=10) as client:
            assert client.get(f"{server.base_url}/health").status_code == 200
        assert idle[0].recv(1) == b"", "the oldest ones had to leave"


def test_the_banner_shows_https_and_no_warning_of_clear_text(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path, api_keys=("k",), tls_cert=tmp_path)
    banner = cli._banner(settings, "https://x/v1", "0.0.0.0")
    assert "clear text" not in banner
    assert "WARNING" in banner
    assert "clear text" in cli._banner(Settings(workspace=tmp_path, api_keys=("k",)), "http://x/v1", "0.0.0.0")
