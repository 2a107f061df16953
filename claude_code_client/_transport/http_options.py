"""httpx's own transports, set up once for both kinds of client."""

from __future__ import annotations

import functools
import ssl
from typing import Any, Final

import httpx

from claude_code_common.loopback import is_loopback
from claude_code_common.version import __version__

from .._config import Config, merged
from ..errors import ConfigurationError

CLIENT_CLOSED: Final = "This client is closed: make a new one."
# httpcore counts busy connections too as kept alive: with a limit, more threads than that get no connection twice.
_LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=30)


@functools.cache
def _tls_context() -> ssl.SSLContext:
    """One for all clients of the process: loading the certificates costs about 20 ms."""
    return httpx.create_ssl_context()


@functools.cache
def _no_tls_context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def default_headers(config: Config) -> dict[str, str]:
    """Headers of every request; the caller's own come last."""
    return merged({"User-Agent": f"claude-code-client/{__version__}"}, config.headers)


def inner_arguments(config: Config) -> dict[str, Any]:
    """Arguments for ``httpx.HTTPTransport`` and its asynchronous twin: TLS, limits, the environment's proxy."""
    url = httpx.URL(config.base_url)
    return {
        "verify": _tls_context() if url.scheme == "https" else _no_tls_context(),
        "limits": _LIMITS,
        "proxy": _proxy_for(url),
        "trust_env": False,
    }


def check_url(config: Config) -> None:
    """Raises ConfigurationError for a base_url that cannot be used, such as one whose host is no host name."""
    try:
        httpx.URL(config.base_url).host.encode("idna")  # as the socket does
    except (httpx.InvalidURL, UnicodeError) as error:
        problem = str(error).rstrip(".")
    else:
        return
    raise ConfigurationError(f"base_url is not a URL: {problem}.", param="base_url")


def _proxy_for(url: httpx.URL) -> str | None:
    # An explicit transport makes httpx pass over the proxy variables; traffic on this machine needs none.
    if is_loopback(url.host):
        return None
    from urllib.request import getproxies, proxy_bypass  # 40 ms

    if proxy_bypass(url.host):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy is None:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
