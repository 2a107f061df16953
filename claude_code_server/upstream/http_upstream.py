"""Upstream over HTTP: the Anthropic API, or any server that implements the Messages format."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from claude_code_common.loopback import is_loopback
from claude_code_common.pricing import token_count
from claude_code_common.sse import EventTooLargeError

from .messages_stream import MessagesEvent, decode_events, message_events
from .protocol import ERROR_TYPE_BY_STATUS, UpstreamError

_TIMEOUT: Final = httpx.Timeout(600, connect=10, pool=None)
_LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=20)
_OVERLOADED: Final = 529
_MAX_RETRY_AFTER: Final = 86_400.0
_GATEWAY_FAILURES: Final = {502, 504, *range(520, 528)}
"""Statuses of gateways that have lost the response of a server behind them, which may have run the request."""
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class _NotAMessageError(Exception):
    """The body of a response is not a message."""


class _KeyAuth(httpx.Auth):
    """Adds the key when a request is sent, so that no header dictionary or repr contains it."""

    def __init__(self, value: str) -> None:
        self._value = value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["x-api-key"] = self._value
        yield request

    def redact(self, text: str) -> str:
        return text.replace(self._value, "[key]")


class HttpUpstream:
    """Upstream at ``base_url``, with or without a trailing ``/v1``.

    Proxy and TLS settings come from the environment; connections to loopback addresses never use a proxy.
    Raise ValueError for a URL that is not http(s), for a key that would travel in clear text to another machine,
    and for a key that no header can carry.
    """

    free = False

    def __init__(self, base_url: str, api_key: str | None = None) -> None:
        url = _parse_url(base_url)
        self.local = local = is_loopback(url.host)
        if api_key and url.scheme == "http" and not local:
            raise ValueError(f"a key must not travel in clear text to {url.host}: use https, or give no key")
        if api_key and not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
            raise ValueError("the key contains characters that no header can carry; was it copied completely?")
        self.name = str(url)
        self._auth = _KeyAuth(api_key) if api_key else None
        self._client = httpx.AsyncClient(
            base_url=url,
            auth=self._auth,
            headers={"anthropic-version": "2023-06-01"},
            timeout=_TIMEOUT,
            limits=_LIMITS,
            trust_env=not local,
            # Reading the certificates of all authorities takes 40 ms, and http without a proxy needs none of them.
            verify=not (local and url.scheme == "http"),
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def is_instant(self, request: Mapping[str, Any]) -> bool:
        return False

    async def complete(self, request: Mapping[str, Any], *, beta: str | None = None) -> dict[str, Any]:
        async with self._post("v1/messages", {**request, "stream": False}, beta) as response:
            return self._json_object(response)

    async def stream(
        self, request: Mapping[str, Any], *, beta: str | None = None
    ) -> AsyncGenerator[MessagesEvent, None]:
        async with self._post("v1/messages", {**request, "stream": True}, beta, read_body=False) as response:
            started = finished = False
            try:
                events = (
                    _whole_message_events(response) if _is_json(response) else decode_events(response.aiter_bytes())
                )
                async for event in events:
                    if event.get("type") == "error":
                        raise self._error(event, response, may_be_billed=started)
                    started = True
                    finished = finished or event.get("type") == "message_stop"
                    yield event
            except EventTooLargeError as error:
                raise self._broken(f"{self.name}: {error}") from None
            except _NotAMessageError:
                raise self._broken(f"{self.name} responded with something other than a stream or a message") from None
            if not finished:
                raise self._broken(f"{self.name} ended its stream before the message was complete")

    async def count_tokens(self, request: Mapping[str, Any], *, beta: str | None = None) -> int:
        async with self._post("v1/messages/count_tokens", request, beta) as response:
            return token_count(self._json_object(response), "input_tokens")

    async def aclose(self) -> None:
        await self._client.aclose()

    @asynccontextmanager
    async def _post(
        self, path: str, body: Mapping[str, Any], beta: str | None, *, read_body: bool = True
    ) -> AsyncIterator[httpx.Response]:
        """Send a request and yield its response, which has status 200. Raise UpstreamError."""
        headers = {"content-type": "application/json", **({"anthropic-beta": beta} if beta else {})}
        try:
            async with self._client.stream("POST", path, content=json.dumps(body), headers=headers) as response:
                if read_body or response.status_code != httpx.codes.OK:
                    await response.aread()
                if response.status_code != httpx.codes.OK:
                    raise self._refusal(response)
                yield response
        except (httpx.HTTPError, httpx.StreamError) as error:
            reason = str(error) or type(error).__name__
            raise self._broken(
                f"no response from {self.name}: {reason}", sent=not isinstance(error, _NOT_SENT)
            ) from None

    def _json_object(self, response: httpx.Response) -> dict[str, Any]:
        body = _parse_object(response)
        if body is None:
            raise self._broken(f"{self.name} responded with something other than a JSON object")
        return body

    def _broken(self, message: str, *, sent: bool = True) -> UpstreamError:
        """Return the error for a response that did not arrive, or not whole."""
        return UpstreamError(502, "api_error", self._redact(message), may_be_billed=sent)

    def _refusal(self, response: httpx.Response) -> UpstreamError:
        """Return the error for a status other than 200."""
        body = _parse_object(response)
        from_upstream = isinstance((body or {}).get("error"), Mapping)
        lost = response.status_code in _GATEWAY_FAILURES and not from_upstream
        return self._error(body, response, may_be_billed=lost)

    def _error(self, body: Mapping[str, Any] | None, response: httpx.Response, *, may_be_billed: bool) -> UpstreamError:
        """Return the error in a body of the Messages format, or an error for the status alone."""
        status = response.status_code if response.status_code != httpx.codes.OK else httpx.codes.INTERNAL_SERVER_ERROR
        reported = (body or {}).get("error")
        detail = reported if isinstance(reported, Mapping) else {}
        type_ = detail.get("type") or ERROR_TYPE_BY_STATUS.get(status, "api_error")
        message = detail.get("message") or f"{self.name} responded with status {int(status)}"
        if status == httpx.codes.INTERNAL_SERVER_ERROR and type_ == "overloaded_error":
            status = _OVERLOADED
        return UpstreamError(int(status), str(type_), self._redact(str(message)), _retry_after(response), may_be_billed)

    def _redact(self, text: str) -> str:
        return self._auth.redact(text) if self._auth else text


def _is_json(response: httpx.Response) -> bool:
    content_type: str = response.headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower() == "application/json"


async def _whole_message_events(response: httpx.Response) -> AsyncIterator[MessagesEvent]:
    """Yield the events of a response that is a whole message: some servers ignore ``stream``.

    Raise _NotAMessageError.
    """
    await response.aread()
    body = _parse_object(response)
    if body is not None and "error" in body:
        yield {"type": "error", **body}
        return
    try:
        events = list(message_events(body or {})) if body and isinstance(body["content"], list) else []
    except (KeyError, TypeError, ValueError, AttributeError):
        events = []
    if not events:
        raise _NotAMessageError
    for event in events:
        yield event


def _parse_url(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url.rstrip("/").removesuffix("/v1") + "/")
    except httpx.InvalidURL as error:
        raise ValueError(f"not the URL of a Messages endpoint: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("the URL of a Messages endpoint starts with http:// or https://")
    if url.userinfo:
        raise ValueError("the URL of a Messages endpoint must not contain a user name or password")
    return url


def _parse_object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _retry_after(response: httpx.Response) -> float | None:
    try:
        seconds = float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return None if math.isnan(seconds) else max(0.0, min(seconds, _MAX_RETRY_AFTER))
