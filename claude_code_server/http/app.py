"""ASGI application: paths and methods of the contract, request IDs and error responses."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from functools import partial
from time import perf_counter
from typing import Final, Self

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

from ..contract.operations import Contract, Operation
from ..domain.api_key import Caller
from ..domain.engine_protocol import Engine
from ..domain.errors import ApiError, not_implemented
from ..domain.names import new_id
from ..domain.settings import Settings
from ..runtime.error_logging import log_exception
from ..runtime.json_logging import is_logged, log_event, set_log_ids
from ..services.container import Services
from ..services.metrics import Metrics
from ..upstream.protocol import Upstream
from .head_check import HeadCheck
from .key_end import respond_while_valid
from .monitoring import ROUTE, monitoring_routes
from .request import authenticate, read_request
from .responses import error_response
from .routes import HANDLERS

_log = logging.getLogger(__name__)
_RATE_LIMIT: Final = "rate_limit"
"""Name in a request's ASGI state of the function that returns the headers of its key's rate limit."""
_NO_ROUTE: Final = "none"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def create_app(
    settings: Settings,
    engine: Engine | None = None,
    upstream: Upstream | None = None,
    *,
    contract: Contract | None = None,
) -> Starlette:
    """Return the application with services of its own, which its lifespan starts and stops.

    By default the engine is Claude Code and the upstream that of ``settings``. Raise ValueError for an invalid
    upstream.
    """
    services = Services(settings, engine, upstream, contract)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with services:
            yield

    return build_app(services, lifespan=lifespan)


def build_app(services: Services, *, lifespan: Lifespan[Starlette] | None = None) -> Starlette:
    """Return the application on ``services``, which the caller or ``lifespan`` starts and stops."""
    settings = services.settings
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in services.contract.operations.values():
        by_path.setdefault(services.contract.base_path + operation.path, {})[operation.method] = operation
    routes = [
        *(Route(path, _PathEndpoint(path, services, operations)) for path, operations in by_path.items()),
        *monitoring_routes(services),
    ]
    router = Router(routes, redirect_slashes=False, default=_UnknownPath(services.contract.base_path))
    head_check = HeadCheck(settings.allowed_hosts, settings.max_head_bytes)
    app = _Application(_RequestMiddleware(_Endpoints(router, head_check), services.metrics), lifespan=lifespan)
    app.state.services = services
    return app


class _Application(Starlette):
    """Application that passes requests to an ASGI application: Starlette's own layers would do nothing for them."""

    def __init__(self, requests: ASGIApp, lifespan: Lifespan[Self] | None) -> None:
        super().__init__(lifespan=lifespan)
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._requests(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class _Endpoints:
    """Endpoints of all paths, for requests whose head passes the check.

    Those without parameters are found by their path; the router, which tries one path after another, has all.
    """

    def __init__(self, router: Router, head_check: HeadCheck) -> None:
        self._router = router
        self._head_check = head_check
        self._exact: dict[str, ASGIApp] = {
            route.path: route.app for route in router.routes if isinstance(route, Route) and not route.param_convertors
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._head_check.check(scope)
        await self._exact.get(scope["path"], self._router)(scope, receive, send)


class _PathEndpoint:
    """Endpoint for the operations of one path, by method."""

    def __init__(self, path: str, services: Services, operations: Mapping[str, Operation]) -> None:
        self._path = path
        self._services = services
        self._operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ROUTE] = self._path
        request = Request(scope, receive)
        operation = self._operations.get(request.method)
        if operation is None:
            allowed = ", ".join(self._operations)
            message = f"Method {request.method} not allowed; use {allowed}."
            raise ApiError(405, "invalid_request_error", message, headers={"Allow": allowed})
        caller = await authenticate(request, operation, self._services)
        rate_limit = self._services.admission.admit_request(caller, operation.id)
        if rate_limit is not None:
            scope.setdefault("state", {})[_RATE_LIMIT] = rate_limit
        ended = self._services.api_keys.ended(caller)
        respond = partial(self._respond, request, operation, caller)
        await (respond(send) if ended is None else respond_while_valid(respond, send, ended))

    async def _respond(self, request: Request, operation: Operation, caller: Caller, send: Send) -> None:
        context = await read_request(request, operation, self._services, caller)
        handler = HANDLERS.get(operation.id)
        if handler is None:
            raise not_implemented(f"This server does not implement {operation.id}.")
        response = await handler(context)
        await response(request.scope, request.receive, send)


class _UnknownPath:
    """Endpoint for paths outside the contract."""

    def __init__(self, base_path: str) -> None:
        self._base_path = base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.startswith(f"{self._base_path}/"):
            hint = "see the API's documentation for those that exist"
        else:
            hint = f"paths start with {self._base_path}/"
        raise ApiError(404, "not_found_error", f"Unknown path; {hint}.")


class _RequestMiddleware:
    """Gives every request an ID, counts and logs its response, and turns every exception into an error response."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_id("req")
        set_log_ids(request_id=request_id)
        metrics, arrived = self._metrics, perf_counter()
        method = scope["method"] if scope["method"] in _METHODS else _NO_ROUTE
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                sent: int = message["status"]
                status = sent
                metrics.add_response(scope.get(ROUTE, _NO_ROUTE), method, sent, perf_counter() - arrived)
                headers = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
                if (rate_limit := scope.get("state", {}).get(_RATE_LIMIT)) is not None:
                    headers += [(name.lower().encode(), value.encode()) for name, value in rate_limit().items()]
                message["headers"] = headers
            await send(message)

        metrics.in_progress += 1
        try:
            error = await self._respond(scope, receive, send_with_id, request_id)
            if error is not None and status is None:
                await error_response(error, request_id)(scope, receive, send_with_id)
        finally:
            metrics.in_progress -= 1
            if is_logged(_log):
                route, seconds = scope.get(ROUTE, _NO_ROUTE), round(perf_counter() - arrived, 4)
                log_event(_log, "request", method=method, route=route, status=status, seconds=seconds)

    async def _respond(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> ApiError | None:
        """Run the application; return the error that is still to be sent, if no response has started."""
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:
            return None
        except ApiError as raised:
            return raised
        except Exception as raised:
            log_exception(_log, f"request {request_id}", raised)
            return ApiError(500, "server_error", "The server failed. Find details in its log under the request ID.")
        return None
