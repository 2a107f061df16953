"""Checks of a request's head that come before everything else: size, framing, ``Host`` and ``Origin``.

A web page can make a browser send requests to this server, and can give its own host name the server's address (DNS
rebinding). Its requests then carry the page's name in ``Host`` or ``Origin``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import chain
from typing import Final
from urllib.parse import urlsplit

from starlette.types import Scope

from claude_code_common.loopback import is_loopback

from ..domain.errors import ApiError, invalid_request

_OWN_SITE: Final = (b"same-origin", b"none")
"""Values of ``Sec-Fetch-Site`` for a page of this server, and for what the user of a browser does."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_CLOSE: Final = {"Connection": "close"}
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/?#@\[\]]+)(?::\d{0,5})?", re.ASCII | re.IGNORECASE)
"""Value of a ``Host`` header: a name or an address, and perhaps a port."""
# Every request brings a name, and nearly always one of the same few.
_is_loopback: Final = lru_cache(64)(is_loopback)


class HeadCheck:
    """Check of requests: none whose head is too large, is ambiguous or names another site passes."""

    def __init__(self, allowed_hosts: Iterable[str] = (), max_bytes: float = math.inf) -> None:
        self._max_bytes = max_bytes
        self._allowed = frozenset(_normalize(host) for host in allowed_hosts)

    def check(self, scope: Scope) -> None:
        """Raise ApiError for a request that must not be served."""
        self._check_size(scope)
        server = scope.get("server")
        # Of several headers with one name, the first counts, as with Starlette.
        self._check_names(dict(reversed(scope["headers"])), local_address=server[0] if server else "")

    def _check_size(self, scope: Scope) -> None:
        """Raise ApiError for a head that arrived at once; one that arrives in parts is refused while it does."""
        size = (
            len(scope["raw_path"]) + len(scope["query_string"]) + sum(map(len, chain.from_iterable(scope["headers"])))
        )
        if size > self._max_bytes:
            message = f"The head of the request is larger than {self._max_bytes} bytes. Send fewer or shorter headers."
            raise ApiError(431, "request_too_large", message, headers=_CLOSE)

    def _check_names(self, headers: Mapping[bytes, bytes], local_address: str) -> None:
        if b"content-length" in headers and b"transfer-encoding" in headers:
            error = invalid_request("A request has either Content-Length or Transfer-Encoding, not both.")
            error.headers.update(_CLOSE)
            raise error
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._accepts(_host_name(host), local_address):
            raise _forbidden("Host", "Start the server with --allowed-host NAME to serve other names.")
        # Browsers send both by themselves, also with requests that need no permission (CORS) to be sent.
        origin = headers.get(b"origin")
        if origin is not None and not _same_origin(origin.decode("latin-1"), host):
            raise _forbidden("Origin", "Web pages of other origins may not call it.")
        if headers.get(b"sec-fetch-site", b"none").lower() not in _OWN_SITE:
            raise _forbidden("Sec-Fetch-Site", "Web pages of other origins may not call it.")

    def _accepts(self, name: str, local_address: str) -> bool:
        return bool(name) and (_is_loopback(name) or name in self._allowed or name == _normalize(local_address))


def _host_name(value: str) -> str:
    """Return the name or address in a ``Host`` header; empty if there is none."""
    found = _HOST.fullmatch(value)
    return _normalize(found[1]) if found else ""


def _same_origin(origin: str, host: str) -> bool:
    """Return whether an ``Origin`` header names the host and port of a ``Host`` header; ``null`` never does.

    The scheme may differ: a proxy may have ended TLS.
    """
    try:
        parts = urlsplit(origin)
        default = _DEFAULT_PORTS.get(parts.scheme)
        target = urlsplit(f"//{host}")
        return (
            default is not None
            and parts.netloc != ""
            and origin == f"{parts.scheme}://{parts.netloc}"
            and "@" not in parts.netloc
            and _normalize(parts.hostname or "") == _normalize(target.hostname or "")
            and (parts.port or default) == (target.port or default)
        )
    except ValueError:
        return False


def _normalize(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _forbidden(header: str, advice: str) -> ApiError:
    message = f"The {header} header does not name this server. {advice}"
    return ApiError(403, "permission_error", message, headers=_CLOSE)
