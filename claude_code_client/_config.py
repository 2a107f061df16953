"""Arguments, environment, defaults → one checked Config."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

import attrs
from claude_code_api.server import SERVER_URL

from claude_code_common.loopback import is_loopback

from .errors import AuthenticationError, ConfigurationError

DEFAULT_TIMEOUT: Final = 300.0
"""Seconds."""
MAX_TIMEOUT: Final = 1e8
"""Seconds, about three years; sockets and event loops do not take every number."""
DEFAULT_MAX_RETRIES: Final = 3
DEFAULT_STREAM_READ_TIMEOUT: Final = 45.0
"""Seconds; a server that lives sends a ping every 15."""

_SECRET_HEADER: Final = re.compile(r"(?!idempotency-key$).*(auth|cookie|key|secret|token)", re.IGNORECASE)
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
_HEADER_VALUE: Final = re.compile(r"[!-~]([\t -~]*[!-~])?|")  # RFC 9110, 5.5


@attrs.frozen(kw_only=True)
class Config:
    """What a client needs to know to make calls. Its repr does not show the key."""

    api_key: str = attrs.field(repr=False)
    base_url: str
    timeout: float = DEFAULT_TIMEOUT
    """Seconds for a whole call."""
    max_retries: int = DEFAULT_MAX_RETRIES
    stream_read_timeout: float = DEFAULT_STREAM_READ_TIMEOUT
    """Seconds without a byte after which a stream counts as dead."""
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)


def resolve(
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    timeout: float | None = None,
    max_retries: int | None = None,
    stream_read_timeout: float | None = None,
    headers: Mapping[str, str] | None = None,
    allow_insecure_http: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Arguments first, then ``CLAUDE_API_KEY``, ``CLAUDE_BASE_URL`` and ``CLAUDE_TIMEOUT``, then defaults.

    Raises AuthenticationError without a usable key, ConfigurationError for everything else.
    """
    environ = os.environ if environ is None else environ
    return Config(
        api_key=_api_key(api_key if api_key is not None else environ.get("CLAUDE_API_KEY")),
        base_url=_base_url(base_url or environ.get("CLAUDE_BASE_URL") or SERVER_URL, allow_insecure_http),
        timeout=_timeout(timeout, environ.get("CLAUDE_TIMEOUT")),
        max_retries=_max_retries(max_retries),
        stream_read_timeout=_stream_read_timeout(stream_read_timeout, DEFAULT_STREAM_READ_TIMEOUT),
        headers=_headers(headers),
    )


def _api_key(key: str | None) -> str:
    if key is not None and not isinstance(key, str):
        raise ConfigurationError(f"api_key must be a str, not {type(key).__name__}.", param="api_key")
    key = (key or "").strip()
    if not key:
        raise AuthenticationError(
            'No API key. Set CLAUDE_API_KEY, or pass api_key="sk-proj-…"; '
            "to try it without a key or a server, use ClaudeClient.local()."
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise AuthenticationError(
            "The API key has characters that a key cannot have (spaces, line breaks or non-ASCII). "
            "Check CLAUDE_API_KEY, or the api_key argument, for a slip in copying."
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
        # The reason is not shown: it repeats what may be a key in the wrong place.
        raise ConfigurationError("base_url is not a URL: check its host and port.", param="base_url") from None
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("base_url must not hold a user name or password; pass api_key.", param="base_url")
    if parts.scheme not in ("http", "https") or not host:
        # What is not a URL is not shown: it may be a key in the wrong place.
        shown = f", not {url!r}" if "://" in url else ""
        raise ConfigurationError(f"base_url must be like {SERVER_URL}{shown}.", param="base_url")
    if parts.query or parts.fragment:
        raise ConfigurationError("base_url must have no query and no fragment.", param="base_url")
    if parts.scheme == "http" and not allow_insecure_http and not is_loopback(host):
        raise ConfigurationError(
            f"base_url {url!r} would send the key in clear over the network. Use https://, "
            "or pass allow_insecure_http=True if the network is trusted.",
            param="base_url",
        )
    # A bare host means the API at its usual path.
    path = parts.path.rstrip("/") or urlsplit(SERVER_URL).path
    return SplitResult(parts.scheme, parts.netloc, path, "", "").geturl()


def is_secret(header: str) -> bool:
    """Whether the value of a header of this name is to be kept out of logs and pickles."""
    return _SECRET_HEADER.match(header) is not None


def _timeout(value: float | None, from_environ: str | None) -> float:
    if value is None and from_environ and from_environ.strip():
        try:
            value = float(from_environ)
        except ValueError:
            raise ConfigurationError(
                f"CLAUDE_TIMEOUT must be a number of seconds, not {from_environ!r}.", param="timeout"
            ) from None
        name = "CLAUDE_TIMEOUT"
    else:
        name = "timeout"
    if value is None:
        return DEFAULT_TIMEOUT
    return check_timeout(value, name)


def check_timeout(value: float, name: str = "timeout") -> float:
    """``value`` if it is a positive, finite number of seconds; else ConfigurationError."""
    param = "timeout" if name == "CLAUDE_TIMEOUT" else name
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{name} must be a number of seconds, not {type(value).__name__}.", param=param)
    if not 0 < value <= MAX_TIMEOUT:
        raise ConfigurationError(
            f"{name} must be more than 0 and at most {MAX_TIMEOUT:g} seconds, not {value!r}.", param=param
        )
    return float(value)


def _stream_read_timeout(value: float | None, default: float) -> float:
    return default if value is None else check_timeout(value, "stream_read_timeout")


def _max_retries(value: int | None) -> int:
    if value is None:
        return DEFAULT_MAX_RETRIES
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(
            f"max_retries must be a whole number, not {type(value).__name__}.", param="max_retries"
        )
    if value < 0:
        raise ConfigurationError(f"max_retries must be 0 or more, not {value!r}.", param="max_retries")
    return value


def _headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    if headers is not None and not isinstance(headers, Mapping):
        raise ConfigurationError(f"headers must be a dict, not {type(headers).__name__}.", param="headers")
    for name, value in (headers or {}).items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError("headers: a name is not one that HTTP allows.", param="headers")
        # Values may be secrets, so that the message does not repeat them.
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise ConfigurationError(
                f"headers: the value of {name} must be a str of printable ASCII characters.", param="headers"
            )
    return dict(headers or {})


def override(
    config: Config,
    *,
    timeout: float | None = None,
    max_retries: int | None = None,
    stream_read_timeout: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> Config:
    """``config`` with what is given in place of its own; headers are added. Raises ConfigurationError."""
    return attrs.evolve(
        config,
        timeout=config.timeout if timeout is None else check_timeout(timeout),
        max_retries=config.max_retries if max_retries is None else _max_retries(max_retries),
        stream_read_timeout=_stream_read_timeout(stream_read_timeout, config.stream_read_timeout),
        headers=merged(config.headers, _headers(headers)),
    )


def merged(headers: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """``headers`` with ``more`` in place of those of the same name, in whatever case."""
    replaced = {name.lower() for name in more}
    return {**{name: value for name, value in headers.items() if name.lower() not in replaced}, **more}
