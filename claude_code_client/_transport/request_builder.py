"""Requests of operations, as httpx requests. What the requests of one client have in common is prepared once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import httpx

from .._config import Config
from .._operations.effects import Open, Request, Send
from ..errors import InvalidRequestError
from .cancellation import CancelToken
from .content_decoding import ACCEPTED
from .http_options import default_headers
from .request_context import OnCancelled, RequestContext

_COMMON_HEADERS: Final = {"accept": "*/*", "accept-encoding": ACCEPTED, "connection": "keep-alive"}


@lru_cache(maxsize=256)
def _parsed(text: str) -> httpx.URL:
    return httpx.URL(text)


def _url(text: str, params: dict[str, Any] | None) -> httpx.URL:
    """Return a URL. Raises InvalidRequestError if an ID in it is too long or the like."""
    try:
        url = _parsed(text)
        return url.copy_merge_params(params) if params else url
    except (httpx.InvalidURL, UnicodeError) as error:
        # The message of a UnicodeError shows what cannot be encoded.
        problem = "not valid Unicode" if isinstance(error, UnicodeError) else str(error).rstrip(".")
    raise InvalidRequestError(f"The request has no usable URL: {problem}. Check the IDs that were passed.")


class RequestBuilder:
    """Builds the requests of one client."""

    def __init__(self, config: Config) -> None:
        self._base_url = config.base_url.rstrip("/")
        self._headers = _COMMON_HEADERS | _lower(default_headers(config))

    def whole(
        self, effect: Send, *, token: CancelToken | None = None, on_cancelled: OnCancelled | None = None
    ) -> httpx.Request:
        """Return the request of a ``Send``."""
        context = RequestContext(
            deadline=effect.deadline,
            repeatable=effect.repeatable,
            delivery=effect.delivery,
            token=token,
            on_cancelled=on_cancelled,
        )
        return self._build(effect.request, context, {})

    def stream(
        self, effect: Open, *, token: CancelToken | None = None, on_cancelled: OnCancelled | None = None
    ) -> httpx.Request:
        """Return the request of an ``Open``."""
        context = RequestContext(
            deadline=effect.deadline,
            delivery=effect.delivery,
            stream=True,
            read_timeout=effect.read_timeout,
            token=token,
            on_cancelled=on_cancelled,
        )
        # A proxy would hold a compressed stream back until a block is full, and a compressed file has no byte ranges.
        return self._build(effect.request, context, {"accept": effect.accept, "accept-encoding": "identity"})

    def _build(self, request: Request, context: RequestContext, headers: dict[str, str]) -> httpx.Request:
        arguments: dict[str, Any] = {**request}
        url = _url(self._base_url + arguments.pop("url"), arguments.pop("params", None))
        return httpx.Request(
            arguments.pop("method"),
            url,
            headers=self._headers | _lower(arguments.pop("headers", {})) | headers,
            extensions=context.as_extensions(),
            **arguments,
        )


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
