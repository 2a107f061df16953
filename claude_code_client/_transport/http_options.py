"""Options of transports, the same for both clients: TLS, connection limits, proxy, default headers."""

from __future__ import annotations

import functools
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import attrs

from claude_code_common.loopback import is_loopback
from claude_code_common.version import __version__

from .._config import Config, merge_headers
from ..errors import ConfigurationError
from .messages import Server

if TYPE_CHECKING:
    import ssl

    import httpcore
    import httpx

CLIENT_CLOSED: Final = "This client is closed: make a new one."
_PROXIES: Final = (
    "Set HTTPS_PROXY, HTTP_PROXY or ALL_PROXY to a URL like http://proxy.example:3128, or NO_PROXY to the host of the "
    "server."
)
_PORTS: Final = 1 << 16


@functools.cache
def _tls_context() -> ssl.SSLContext:
    """Return the context that all clients of the process share: loading the certificates takes about 20 ms.

    Raises ConfigurationError if the environment names certificates that cannot be loaded.
    """
    import ssl

    import certifi

    file, directory = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    try:
        if not file and directory:
            return ssl.create_default_context(capath=directory)
        return ssl.create_default_context(cafile=file or certifi.where())
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        problem = (getattr(error, "strerror", None) or str(error)).rstrip(".")
    names = " or ".join(name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name))
    raise ConfigurationError(
        f"The certificates for TLS cannot be loaded: {problem}. Check {names or 'the installation of certifi'}."
    )


def default_headers(config: Config) -> dict[str, str]:
    """Return the headers of every request; those of the caller win."""
    return merge_headers({"User-Agent": f"claude-code-client/{__version__}"}, config.headers)


def tls_context(scheme: bytes, config: Config) -> ssl.SSLContext | None:
    """Return the TLS context for connections to a server with this scheme; None for those without TLS."""
    return (config.ssl_context or _tls_context()) if scheme == b"https" else None


@attrs.frozen(eq=False)
class Proxy:
    """A proxy, as httpcore takes it."""

    is_socks: bool
    options: dict[str, Any] = attrs.field(repr=False)
    """Keyword arguments of httpcore's class."""


def proxy_for(server: Server, config: Config) -> Proxy | None:
    """Return the proxy of the client, or the one that the environment names for a server; None for no proxy.

    Raises ConfigurationError for a proxy that cannot be used.
    """
    if config.proxy is not None:
        return _proxy(_checked_proxy(config.proxy, "proxy="), config)
    # With a transport of its own, httpx ignores the proxy variables. Traffic on this machine needs no proxy.
    if is_loopback(server.name):
        return None
    from urllib.request import getproxies, proxy_bypass  # 40 ms

    if proxy_bypass(server.name):
        return None
    proxies = getproxies()
    proxy = proxies.get(server.scheme.decode()) or proxies.get("all")
    if proxy is None:
        return None
    return _proxy(_checked_proxy(proxy if "://" in proxy else f"http://{proxy}", "The environment"), config)


def _proxy(url: str, config: Config) -> Proxy:
    import httpx  # which separates the credentials from the URL

    proxy = httpx.Proxy(url)
    options: dict[str, Any] = {"proxy_url": _core_url(proxy.url), "proxy_auth": proxy.raw_auth}
    is_socks = proxy.url.scheme.startswith("socks")
    if proxy.url.scheme == "https":
        options["proxy_ssl_context"] = config.ssl_context or _tls_context()
    return Proxy(is_socks, options)


def _core_url(url: httpx.URL) -> httpcore.URL:
    import httpcore

    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _checked_proxy(proxy: str, source: str) -> str:
    import httpx

    scheme = ""
    with suppress(httpx.InvalidURL, UnicodeError):
        url = httpx.URL(proxy)
        if url.host.encode("idna") and (url.port is None or 0 < url.port < _PORTS):
            scheme = url.scheme
    # The URL is not shown: it may contain a password.
    if not scheme:
        raise ConfigurationError(f"{source} names a proxy that is not a URL with a host and a port. {_PROXIES}")
    if scheme in ("socks5", "socks5h"):
        from importlib.util import find_spec

        if find_spec("socksio") is None:
            raise ConfigurationError(
                f"{source} names a SOCKS proxy, which needs another package: pip install 'httpx[socks]'."
            )
    elif scheme not in ("http", "https"):
        raise ConfigurationError(f"{source} names a proxy of a kind that is not supported. {_PROXIES}")
    return proxy
