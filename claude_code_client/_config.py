"""Settings of a client, from arguments, environment variables and defaults, in this order.

==================  ================  ==================================
Environment         Argument          Default
==================  ================  ==================================
CLAUDE_API_KEY      ``api_key``       none: a key is required
CLAUDE_BASE_URL     ``base_url``      the server of the API contract
CLAUDE_TIMEOUT      ``timeout``       300 seconds
==================  ================  ==================================
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

import attrs
from claude_code_api.server import SERVER_URL

from claude_code_common.loopback import is_loopback

from .errors import AuthenticationError, ConfigurationError

if TYPE_CHECKING:
    import ssl

DEFAULT_TIMEOUT: Final = 300.0
"""Seconds for a whole call."""
MAX_TIMEOUT: Final = 1e8
"""Seconds, about three years. Sockets and event loops do not accept all larger numbers."""
DEFAULT_MAX_RETRIES: Final = 3
"""Further attempts of a call after the first."""
DEFAULT_STREAM_READ_TIMEOUT: Final = 45.0
"""Seconds without a byte: three of the pings that a server sends every 15 seconds are missing by then."""
DEFAULT_MAX_RESPONSE_BYTES: Final = 256 * 2**20
"""Bytes of a decoded response, other than a stream or a download."""

_SECRET_HEADER: Final = re.compile(r"(?!idempotency-key$).*(auth|cookie|key|secret|token)", re.IGNORECASE)
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
_HEADER_VALUE: Final = re.compile(r"[!-~]([\t -~]*[!-~])?|")  # RFC 9110, 5.5


@attrs.frozen(kw_only=True)
class Config:
    """Checked settings of a client. The repr shows neither the key nor headers."""

    api_key: str = attrs.field(repr=False)
    base_url: str
    timeout: float = DEFAULT_TIMEOUT
    """Seconds for a whole call."""
    max_retries: int = DEFAULT_MAX_RETRIES
    """Further attempts of a call after the first."""
    stream_read_timeout: float = DEFAULT_STREAM_READ_TIMEOUT
    """Seconds without a byte after which the connection of a stream counts as lost."""
    max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES
    """Largest decoded body of a response, other than a stream or a download."""
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Headers to add to every request."""
    proxy: str | None = attrs.field(default=None, repr=False)
    """URL of the proxy, perhaps with a password; None for that of the environment."""
    ssl_context: ssl.SSLContext | None = attrs.field(default=None, repr=False)
    """TLS of all connections; None for the usual certificates, or those of the environment."""


def resolve(
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    timeout: float | None = None,
    max_retries: int | None = None,
    stream_read_timeout: float | None = None,
    max_response_bytes: int | None = None,
    headers: Mapping[str, str] | None = None,
    allow_insecure_http: bool = False,
    proxy: str | None = None,
    ssl_context: ssl.SSLContext | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Return the settings for these arguments; None takes the environment variable or the default.

    Args:
        allow_insecure_http: Accept a ``base_url`` that sends the key unencrypted to another machine.
        environ: Environment variables; ``os.environ`` by default.

    Raises:
        AuthenticationError: There is no key, or it contains characters that no key has.
        ConfigurationError: Another setting is invalid; ``param`` names it.
    """
    environ = os.environ if environ is None else environ
    return Config(
        api_key=_api_key(api_key if api_key is not None else environ.get("CLAUDE_API_KEY")),
        base_url=_base_url(base_url or environ.get("CLAUDE_BASE_URL") or SERVER_URL, allow_insecure_http),
        timeout=_timeout(timeout, environ.get("CLAUDE_TIMEOUT")),
        max_retries=_max_retries(max_retries),
        stream_read_timeout=_stream_read_timeout(stream_read_timeout, DEFAULT_STREAM_READ_TIMEOUT),
        max_response_bytes=_max_response_bytes(max_response_bytes, DEFAULT_MAX_RESPONSE_BYTES),
        headers=check_headers(headers),
        proxy=_proxy(proxy),
        ssl_context=_ssl_context(ssl_context),
    )


def _proxy(proxy: str | None) -> str | None:
    if proxy is not None and (not isinstance(proxy, str) or not proxy):
        raise ConfigurationError("proxy must be a URL like http://proxy.example:3128.", param="proxy")
    return proxy


def _ssl_context(context: ssl.SSLContext | None) -> ssl.SSLContext | None:
    # Not isinstance(): most programs need not import ssl before they connect.
    if context is not None and not hasattr(context, "wrap_bio"):
        raise ConfigurationError(
            f"ssl_context must be an ssl.SSLContext, not {type(context).__name__}.", param="ssl_context"
        )
    return context


def _api_key(key: str | None) -> str:
    if key is not None and not isinstance(key, str):
        raise ConfigurationError(f"api_key must be a str, not {type(key).__name__}.", param="api_key")
    key = (key or "").strip()
    if not key:
        raise AuthenticationError(
            'There is no API key. Set CLAUDE_API_KEY, or pass api_key="sk-proj-…"; '
            "to try the client without a key or a server, use ClaudeClient.local()."
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise AuthenticationError(
            "The API key contains characters that no key has (spaces, line breaks or non-ASCII characters). "
            "Check that CLAUDE_API_KEY, or the api_key argument, was copied correctly."
        )
    return key


def _base_url(url: str, allow_insecure_http: bool) -> str:
    if not isinstance(url, str):
        raise ConfigurationError(f"base_url must be a str, not {type(url).__name__}.", param="base_url")
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        # Do not show the reason: it repeats the URL, which may be a key in the wrong place.
        raise ConfigurationError("base_url is not a URL: check its host and port.", param="base_url") from None
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            "base_url must not contain a user name or password; pass api_key instead.", param="base_url"
        )
    if parts.scheme not in ("http", "https") or not host:
        # Do not show a value that is not a URL: it may be a key in the wrong place.
        shown = f", not {url!r}" if "://" in url else ""
        raise ConfigurationError(f"base_url must be a URL like {SERVER_URL}{shown}.", param="base_url")
    if parts.query or parts.fragment:
        raise ConfigurationError("base_url must have no query and no fragment.", param="base_url")
    if parts.scheme == "http" and not allow_insecure_http and not is_loopback(host):
        raise ConfigurationError(
            f"base_url {url!r} would send the API key unencrypted over the network. Use https://, "
            "or pass allow_insecure_http=True if you trust the network.",
            param="base_url",
        )
    # A URL without a path stands for the API's usual path.
    path = parts.path.rstrip("/") or urlsplit(SERVER_URL).path
    return SplitResult(parts.scheme, parts.netloc, path, "", "").geturl()


def is_secret(header: str) -> bool:
    """Return whether logs and pickles must not contain the value of this header."""
    return _SECRET_HEADER.match(header) is not None


def _timeout(value: float | None, from_environ: str | None) -> float:
    if value is not None:
        return check_timeout(value)
    if not from_environ or not from_environ.strip():
        return DEFAULT_TIMEOUT
    try:
        seconds = float(from_environ)
    except ValueError:
        raise ConfigurationError(
            f"CLAUDE_TIMEOUT must be a number of seconds, not {from_environ!r}.", param="timeout"
        ) from None
    return check_timeout(seconds, "CLAUDE_TIMEOUT")


def check_timeout(value: float, name: str = "timeout") -> float:
    """Return ``value`` as a float. Raises ConfigurationError if it is not a positive, finite number of seconds."""
    param = "timeout" if name == "CLAUDE_TIMEOUT" else name
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{name} must be a number of seconds, not {type(value).__name__}.", param=param)
    if not 0 < value <= MAX_TIMEOUT:
        raise ConfigurationError(
            f"{name} must be greater than 0 and at most {MAX_TIMEOUT:g} seconds, not {shown(value)}.", param=param
        )
    return float(value)


def _stream_read_timeout(value: float | None, default: float) -> float:
    return default if value is None else check_timeout(value, "stream_read_timeout")


def _max_response_bytes(value: int | None, default: int) -> int:
    if value is None:
        return default
    if type(value) is not int or value < 1:
        raise ConfigurationError("max_response_bytes must be an int of 1 or more.", param="max_response_bytes")
    return value


def shown(number: float) -> str:
    """Return a number as text; Python refuses to write some integers."""
    try:
        return repr(number)
    except ValueError:
        return "a number with thousands of digits"


def _max_retries(value: int | None) -> int:
    if value is None:
        return DEFAULT_MAX_RETRIES
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(f"max_retries must be an int, not {type(value).__name__}.", param="max_retries")
    if value < 0:
        raise ConfigurationError(f"max_retries must be 0 or more, not {shown(value)}.", param="max_retries")
    return value


def check_headers(headers: Mapping[str, str] | None, param: str = "headers") -> dict[str, str]:
    """Return the headers as a dict. Raises ConfigurationError, naming the parameter, if HTTP does not allow them."""
    if headers is not None and not isinstance(headers, Mapping):
        raise ConfigurationError(f"{param} must be a dict, not {type(headers).__name__}.", param=param)
    for name, value in (headers or {}).items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"{param}: a name contains characters that HTTP does not allow.", param=param)
        # Values may be secrets: do not repeat them.
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise ConfigurationError(
                f"{param}: the value of {name} must be a str of printable ASCII characters.", param=param
            )
    return dict(headers or {})


def override(
    config: Config,
    *,
    timeout: float | None = None,
    max_retries: int | None = None,
    stream_read_timeout: float | None = None,
    max_response_bytes: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Config:
    """Return ``config`` with the passed settings replaced, and headers added. Raises ConfigurationError."""
    return attrs.evolve(
        config,
        timeout=config.timeout if timeout is None else check_timeout(timeout),
        max_retries=config.max_retries if max_retries is None else _max_retries(max_retries),
        stream_read_timeout=_stream_read_timeout(stream_read_timeout, config.stream_read_timeout),
        max_response_bytes=_max_response_bytes(max_response_bytes, config.max_response_bytes),
        headers=merge_headers(config.headers, check_headers(headers)),
    )


def merge_headers(headers: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """Return ``headers`` and ``added``, which replaces headers of the same name in any case."""
    replaced = {name.lower() for name in added}
    return {**{name: value for name, value in headers.items() if name.lower() not in replaced}, **added}
