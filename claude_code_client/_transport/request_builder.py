"""Requests of operations. What the requests of one client have in common is prepared once."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any, Final

from .._config import Config
from .._operations.effects import Open, Request, Send
from ..errors import InvalidRequestError
from .base_url import parse_base_url
from .cancellation import CancelToken
from .content_decoding import ACCEPTED
from .http_options import default_headers
from .messages import HttpRequest, OnCancelled

_COMMON_HEADERS: Final = {"Accept": "*/*", "Accept-Encoding": ACCEPTED}
_USUAL: Final = frozenset({"method", "url", "params", "headers", "json"})
"""Arguments of most requests."""
_MAX_TARGET: Final = 1 << 16
"""Characters of a path and query; the limit of httpx."""
_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_TARGET: Final = re.compile(r"[!-~]*")


class RequestBuilder:
    """Builds the requests of one client."""

    def __init__(self, config: Config) -> None:
        base_url = parse_base_url(config.base_url)
        self.server, self._path = base_url.server, base_url.path
        self._headers = _encoded({"host": self.server.host_header, **_COMMON_HEADERS, **default_headers(config)})

    def whole(
        self, effect: Send, *, token: CancelToken | None = None, on_cancelled: OnCancelled | None = None
    ) -> HttpRequest:
        """Return the request of a ``Send``."""
        return self._build(
            effect.request,
            {},
            deadline=effect.deadline,
            repeatable=effect.repeatable,
            delivery=effect.delivery,
            token=token,
            on_cancelled=on_cancelled,
        )

    def stream(
        self, effect: Open, *, token: CancelToken | None = None, on_cancelled: OnCancelled | None = None
    ) -> HttpRequest:
        """Return the request of an ``Open``."""
        return self._build(
            effect.request,
            # A proxy would hold a compressed stream back until a block is full; a compressed file has no byte ranges.
            {"Accept": effect.accept, "Accept-Encoding": "identity"},
            deadline=effect.deadline,
            delivery=effect.delivery,
            stream=True,
            read_timeout=effect.read_timeout,
            token=token,
            on_cancelled=on_cancelled,
        )

    def endpoint(self, method: str, url: str, arguments: dict[str, Any], *, timeout: float) -> HttpRequest:
        """Return the request of a generated endpoint that is called directly."""
        request = {"method": method, "url": url, **arguments}
        return self._build(request, {}, deadline=time.monotonic() + timeout)

    def health(self, request: HttpRequest) -> HttpRequest:
        """Return the question to the server whether it keeps the contract, before ``request`` is repeated."""
        return HttpRequest(
            method="GET",
            server=self.server,
            target=f"{self._path}/health",
            headers=list(self._headers.items()),
            deadline=request.deadline,
            token=request.token,
        )

    def _build(self, request: Request, headers: dict[str, str], **options: Any) -> HttpRequest:
        method = request["method"].upper()
        target = self._target(request["url"], request.get("params"))
        own = _encoded({**request.get("headers", {}), **headers})
        body = b""
        if "json" in request:
            body = _JSON.encode(request["json"]).encode()
            own.setdefault(b"content-type", b"application/json")
        if not request.keys() <= _USUAL:  # another kind of body, such as a form
            import httpx

            arguments = {name: value for name, value in request.items() if name not in _USUAL}
            encoded = httpx.Request(method, self.server.url, headers=own, **arguments)
            body = encoded.read()
            own[b"content-type"] = encoded.headers.get("Content-Type", "application/octet-stream").encode("ascii")
        if body or method in ("POST", "PUT", "PATCH"):
            own[b"content-length"] = b"%d" % len(body)
        all_headers = list({**self._headers, **own}.items())
        return HttpRequest(method=method, server=self.server, target=target, headers=all_headers, body=body, **options)

    def _target(self, path: str, params: dict[str, Any] | None) -> str:
        """Return the path and query of a request. Raises InvalidRequestError if an ID in it is too long or the like."""
        problem = "it is too long or has characters that must be escaped"
        try:
            target = f"{self._path}{path}?{_query(params)}" if params else self._path + path
            if len(target) <= _MAX_TARGET and _TARGET.fullmatch(target):
                return target
        except UnicodeError:  # its message shows what cannot be encoded
            problem = "it is not valid Unicode"
        raise InvalidRequestError(f"The request has no usable URL: {problem}. Check the IDs that were passed.")


def _query(params: dict[str, Any]) -> str:
    import httpx  # which completions and tasks do without

    return str(httpx.QueryParams(params))


def _encoded(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """Return headers as they are sent; names, which have no case, in lower case."""
    return {name.lower().encode("ascii"): value.encode("ascii") for name, value in headers.items()}
