"""An upstream on the other end of HTTP: Anthropic's API, or any server that speaks the Messages format."""

import ipaddress
import json
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from . import sse
from .base import UpstreamError

_TIMEOUT = httpx.Timeout(600, connect=10, pool=None)
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}


class _Key(httpx.Auth):
    """Adds the key on the way out, so that no header dictionary or repr holds it."""

    def __init__(self, value: str) -> None:
        self._value = value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["x-api-key"] = self._value
        yield request

    def strip_from(self, text: str) -> str:
        return text.replace(self._value, "[key]")


class HttpUpstream:
    """Speaks the Messages format to ``base_url`` (with or without a trailing ``/v1``).

    Proxies and TLS settings come from the environment; a loopback address is always asked directly.
    Raises ValueError for an address that is not http(s), for a key that would travel in clear to another
    machine, and for one that no header can carry.
    """

    free = False

    def __init__(self, base_url: str, api_key: str | None = None) -> None:
        url = _checked(base_url)
        local = is_loopback(url.host)
        if api_key and url.scheme == "http" and not local:
            raise ValueError(f"a key must not travel in clear to {url.host}: use https, or give no key")
        if api_key and not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
            raise ValueError("the key holds characters that no header can carry; was it copied whole?")
        self.name = str(url)
        self._key = _Key(api_key) if api_key else None
        self._client = httpx.AsyncClient(
            base_url=url,
            auth=self._key,
            headers={"anthropic-version": "2023-06-01"},
            timeout=_TIMEOUT,
            limits=_LIMITS,
            trust_env=not local,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    async def complete(self, request: Mapping[str, Any], *, beta: str | None = None) -> dict[str, Any]:
        async with self._answer("v1/messages", {**request, "stream": False}, beta) as response:
            return self._body_of(response)

    async def stream(self, request: Mapping[str, Any], *, beta: str | None = None) -> AsyncGenerator[sse.Event, None]:
        async with self._answer("v1/messages", {**request, "stream": True}, beta, whole=False) as response:
            finished = False
            async for event in sse.decode(response.aiter_bytes()):
                if event.get("type") == "error":
                    raise self._told(event, response)
                finished = finished or event.get("type") == "message_stop"
                yield event
            if not finished:
                raise UpstreamError(502, "api_error", f"{self.name} ended its reply before the end")

    async def count_tokens(self, request: Mapping[str, Any], *, beta: str | None = None) -> int:
        async with self._answer("v1/messages/count_tokens", request, beta) as response:
            return int(self._body_of(response).get("input_tokens") or 0)

    async def aclose(self) -> None:
        await self._client.aclose()

    @asynccontextmanager
    async def _answer(
        self, path: str, body: Mapping[str, Any], beta: str | None, *, whole: bool = True
    ) -> AsyncIterator[httpx.Response]:
        headers = {"content-type": "application/json", **({"anthropic-beta": beta} if beta else {})}
        try:
            async with self._client.stream("POST", path, content=json.dumps(body), headers=headers) as response:
                if whole or response.status_code != httpx.codes.OK:
                    await response.aread()
                if response.status_code != httpx.codes.OK:
                    raise self._told(_parsed(response), response)
                yield response
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise UpstreamError(502, "api_error", self._clean(f"no answer from {self.name}: {why}")) from None

    def _body_of(self, response: httpx.Response) -> dict[str, Any]:
        body = _parsed(response)
        if body is None:
            raise UpstreamError(502, "api_error", f"{self.name} answered with something other than a JSON object")
        return body

    def _told(self, body: Mapping[str, Any] | None, response: httpx.Response) -> UpstreamError:
        """The error that a body in the Messages format, or else the bare status, tells of."""
        status = response.status_code if response.status_code != httpx.codes.OK else 500
        error = (body or {}).get("error")
        told = error if isinstance(error, Mapping) else {}
        kind = told.get("type") or _TYPES.get(status, "api_error")
        message = told.get("message") or f"{self.name} answered with status {status}"
        if status == httpx.codes.INTERNAL_SERVER_ERROR and kind == "overloaded_error":
            status = 529
        return UpstreamError(status, str(kind), self._clean(str(message)), _seconds(response))

    def _clean(self, text: str) -> str:
        return self._key.strip_from(text) if self._key else text


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _checked(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url.rstrip("/").removesuffix("/v1") + "/")
    except httpx.InvalidURL as error:
        raise ValueError(f"not the address of a Messages endpoint: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("the address of a Messages endpoint starts with http:// or https://")
    if url.userinfo:
        raise ValueError("the address of a Messages endpoint must not hold a user name or password")
    return url


def _parsed(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = json.loads(response.content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _seconds(response: httpx.Response) -> float | None:
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return None
