"""Networks of companies: a proxy, a private CA, client certificates, and the environment's word on them."""

from __future__ import annotations

import pickle
import socket
import ssl
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import trustme
from support.canaries import recorded_logs
from support.clients.client_kinds import KEY, ClientKind
from support.servers import raw_http, responses
from support.servers.tunnel_proxy import accepting, tunnel_to

from claude_code_client import APIConnectionError, ConfigurationError

URL = "https://a.example/v1"


class Company(NamedTuple):
    """Server behind a proxy, with a certificate of a private CA, that asks for a client certificate."""

    proxy: str
    heads: list[bytes]
    authority: trustme.CA

    def context(self, *, with_certificate: bool = True) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if with_certificate:
            self.authority.issue_cert("me@a.example").configure_cert(context)
        return context


@pytest.fixture
def company() -> Iterator[Company]:
    authority, heads = trustme.CA(), list[bytes]()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("a.example").configure_cert(tls)
    authority.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    handle = raw_http.SocketServer(lambda _: raw_http.response(200, responses.COMPLETION), tls)
    with raw_http.serve(handle) as server, accepting(tunnel_to(server.base_url.split("/")[2], heads)) as proxy:
        yield Company(proxy, heads, authority)


def test_calls_through_a_proxy_with_a_client_certificate(both: ClientKind, company: Company) -> None:
    with recorded_logs() as logs:
        client = both.client(
            URL, max_retries=0, proxy=f"http://me:secret@{company.proxy}", ssl_context=company.context()
        )
        assert "secret" not in f"{client!r} {vars(client)}"
        assert both.call(client.complete("x")).id == "cmpl_1"
        both.call(client.close())
    assert "httpcore" in logs.getvalue()
    assert "secret" not in logs.getvalue()
    assert KEY not in logs.getvalue()
    assert company.heads[0].startswith(b"CONNECT a.example:443 ")
    assert b"proxy-authorization: basic" in company.heads[0].lower()


def test_without_the_certificate_the_server_refuses(both: ClientKind, company: Company) -> None:
    context = company.context(with_certificate=False)
    client = both.client(URL, max_retries=0, proxy=f"http://{company.proxy}", ssl_context=context)
    with pytest.raises(APIConnectionError):
        both.call(client.complete("x"))
    both.call(client.close())


def test_without_the_ca_the_client_refuses(both: ClientKind, company: Company) -> None:
    client = both.client(URL, max_retries=0, proxy=f"http://{company.proxy}")
    with pytest.raises(APIConnectionError, match="certificate"):
        both.call(client.complete("x"))
    both.call(client.close())


def test_the_argument_wins_over_the_environment(
    both: ClientKind, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "a.example")
    client = both.client(URL, max_retries=0, proxy=f"http://{company.proxy}", ssl_context=company.context())
    assert both.call(client.complete("x")).id == "cmpl_1"
    both.call(client.close())


@pytest.mark.parametrize(
    ("variables", "reached"),
    [
        ({"HTTPS_PROXY": "{}"}, True),
        ({"https_proxy": "{}"}, True),
        ({"ALL_PROXY": "{}"}, True),
        ({"HTTPS_PROXY": "{}", "NO_PROXY": "b.example"}, True),
        ({"HTTPS_PROXY": "{}", "NO_PROXY": "b.example, a.example"}, False),
        ({"HTTPS_PROXY": "{}", "NO_PROXY": ".example"}, False),
        ({"HTTPS_PROXY": "{}", "NO_PROXY": "*"}, False),
        ({"HTTP_PROXY": "{}"}, False),
    ],
)
def test_variables_of_the_environment(
    both: ClientKind, company: Company, variables: dict[str, str], reached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(f"http://{company.proxy}"))
    look_up = socket.getaddrinfo

    def known(host: str, *arguments: Any, **options: Any) -> Any:
        if host == "a.example":  # which is not to be looked up outside of this machine
            raise socket.gaierror(socket.EAI_NONAME, "unknown host")
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", known)
    client = both.client(URL, max_retries=0, timeout=5, ssl_context=company.context())
    if reached:
        assert both.call(client.complete("x")).id == "cmpl_1"
    else:
        with pytest.raises(APIConnectionError):  # there is no such host
            both.call(client.complete("x"))
    both.call(client.close())
    assert bool(company.heads) is reached


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        ("http://127.0.0.1:99999", "proxy= names a proxy that is not a URL"),
        ("gopher://127.0.0.1:9", "proxy= names a proxy of a kind"),
        ("socks5://127.0.0.1:9", "SOCKS proxy, which needs another package"),
        ("", "proxy must be a URL"),
    ],
)
def test_unusable_proxies(both: ClientKind, proxy: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        both.call(both.client(URL, proxy=proxy).complete("x"))


def test_ssl_context_of_another_type_is_refused(both: ClientKind) -> None:
    with pytest.raises(ConfigurationError, match="ssl_context"):
        both.client(URL, ssl_context="ca.pem")


def test_a_pickle_carries_neither_proxy_nor_context(both: ClientKind, company: Company) -> None:
    client = both.client(URL, proxy="http://me:secret@b.example:3128", ssl_context=company.context())
    pickled = pickle.dumps(client)
    assert b"secret" not in pickled
    assert b"b.example" not in pickled
