"""The base URL of a client, taken apart once."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final

import attrs

from ..errors import ConfigurationError
from .messages import Server

if TYPE_CHECKING:
    import httpx

_MAX_PORT: Final = (1 << 16) - 1
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST: Final = rf"127\.0\.0\.1|(?!.*xn--)(?:{_LABEL}\.)*(?=[a-z]){_LABEL}"
_PLAIN: Final = re.compile(rf"(https?)://({_HOST})(?::([1-9][0-9]{{0,4}}))?((?:/(?!\.)[A-Za-z0-9._~-]+)*)/?")
"""URLs that mean what they look like. httpx reads the others, but takes longer to import than all of this library."""


@attrs.frozen
class BaseUrl:
    """The server and the path that all requests of a client have in common."""

    server: Server
    path: str
    """Without a slash at its end."""


@functools.lru_cache(maxsize=16)  # a client asks more than once
def parse_base_url(text: str) -> BaseUrl:
    """Take a base URL apart. Raises ConfigurationError if it is unusable: if its host is not a host name, say."""
    plain = _PLAIN.fullmatch(text)
    if plain is None or int(plain[3] or 0) > _MAX_PORT:
        return _parse_any(text)
    scheme, host, port, path = plain.groups()
    return BaseUrl(_server(scheme, host, int(port) if port else None), path)


def _server(scheme: str, host: str, port: int | None) -> Server:
    if port == _DEFAULT_PORTS[scheme]:
        port = None
    netloc = f"{host}:{port}" if port else host
    return Server(f"{scheme}://{netloc}", netloc, scheme.encode(), host.encode(), host, port)


_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def _parse_any(text: str) -> BaseUrl:
    import httpx

    try:
        url = httpx.URL(text)
        url.host.encode("idna")  # as the socket does
    except (httpx.InvalidURL, UnicodeError) as error:
        problem = str(error).rstrip(".")
    else:
        return BaseUrl(server_of(url), url.raw_path.decode("ascii").rstrip("/"))
    raise ConfigurationError(f"base_url is not a URL: {problem}.", param="base_url")


def server_of(url: httpx.URL) -> Server:
    """Return the server of a URL."""
    port = f":{url.port}" if url.port else ""
    return Server(
        url=f"{url.scheme}://{url.host}{port}",
        host_header=url.netloc.decode("ascii"),
        scheme=url.raw_scheme,
        host=url.raw_host,
        name=url.host,
        port=url.port,
    )
