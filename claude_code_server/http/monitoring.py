"""Routes for those who operate the server, outside the contract: its health, and its metrics."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..domain.errors import ApiError
from ..services.container import Services

_Respond = Callable[[Request, Services], Awaitable[Response]]

ROUTE: Final = "route"
"""Name in a request's ASGI scope of the template of its path, by which metrics are counted."""
_NO_STORE: Final = {"Cache-Control": "no-store"}


def monitoring_routes(services: Services) -> list[Route]:
    """Return the routes of a server. Only ``/metrics`` needs a key, that of ``Settings.metrics_token``."""
    routes: dict[str, _Respond] = {"/health": _ready, "/health/ready": _ready, "/health/live": _live}
    if services.settings.metrics_token is not None:
        routes["/metrics"] = _Metrics(services)
    return [Route(path, _Endpoint(path, respond, services)) for path, respond in routes.items()]


class _Endpoint:
    """Endpoint for GET and HEAD requests."""

    def __init__(self, path: str, respond: _Respond, services: Services) -> None:
        self._path = path
        self._respond = respond
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ROUTE] = self._path
        if scope["method"] not in ("GET", "HEAD"):
            message = f"Method {scope['method']} not allowed; use GET."
            raise ApiError(405, "invalid_request_error", message, headers={"Allow": "GET, HEAD"})
        response = await self._respond(Request(scope, receive), self._services)
        await response(scope, receive, send)


async def _live(_: Request, __: Services) -> Response:
    """Report that the event loop runs: whoever receives the response knows it."""
    return JSONResponse({"status": "ok"}, headers=_NO_STORE)


async def _ready(_: Request, services: Services) -> Response:
    """Report whether the server takes new work, and if not, the parts that keep it from that."""
    failing = services.failing_parts()
    if not failing:
        return JSONResponse({"status": "ok"}, headers=_NO_STORE)
    return JSONResponse({"status": "unavailable", "failing": failing}, 503, {**_NO_STORE, "Retry-After": "5"})


class _Metrics:
    """Responses with the metrics, for those who have the token."""

    def __init__(self, services: Services) -> None:
        self._token = _digest(services.settings.metrics_token or "")
        self._exposition: Any = None

    async def __call__(self, request: Request, services: Services) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not hmac.compare_digest(_digest(token.strip()), self._token) or scheme.lower() != "bearer":
            message = "Metrics need the header `Authorization: Bearer …` with the token of --metrics-token."
            raise ApiError(401, "authentication_error", message, headers={"WWW-Authenticate": "Bearer"})
        if self._exposition is None:
            from ..services.exposition import Exposition  # with prometheus_client, which others do without

            self._exposition = Exposition(services)
        return Response(self._exposition.text(), headers=_NO_STORE, media_type="text/plain; version=0.0.4")


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
