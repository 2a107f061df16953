"""The server as an ASGI application: the contract's paths and methods, and what goes around every call."""

import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Mapping

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .call import read
from .contract import Contract, Operation
from .engine.base import Engine
from .errors import ApiError
from .failures import log_failure
from .routes import HANDLERS
from .services import Services
from .settings import Settings
from .upstream import Upstream

_log = logging.getLogger(__name__)
_REQUEST_ID = "claude_code_server.request_id"


def create_app(
    settings: Settings,
    engine: Engine | None = None,
    upstream: Upstream | None = None,
    *,
    contract: Contract | None = None,
) -> Starlette:
    """The application. Left out, the engine is Claude Code and the upstream what ``settings`` name.

    Raises ValueError for an upstream that cannot be meant.
    """
    return app_of(Services(settings, engine, upstream, contract), own=True)


def app_of(services: Services, *, own: bool = False) -> Starlette:
    """The application on ``services``, which it starts and stops itself if they are its ``own``."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with services:
            yield

    by_path: dict[str, dict[str, Operation]] = {}
    for operation in services.contract.operations.values():
        by_path.setdefault(services.contract.base_path + operation.path, {})[operation.method] = operation
    app = Starlette(
        routes=[Route(path, _Path(services, operations)) for path, operations in by_path.items()],
        middleware=[Middleware(_Around)],
        lifespan=lifespan if own else None,
    )
    app.router.redirect_slashes = False
    app.router.default = _Nowhere(services.contract.base_path)
    app.state.services = services
    return app


class _Path:
    """The operations at one path, by method."""

    def __init__(self, services: Services, operations: Mapping[str, Operation]) -> None:
        self._services = services
        self._operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._response(Request(scope, receive))
        await response(scope, receive, send)

    async def _response(self, request: Request) -> Response:
        operation = self._operations.get(request.method)
        if operation is None:
            allowed = ", ".join(self._operations)
            message = f"{request.method} is not possible here; {allowed} is."
            raise ApiError(405, "invalid_request_error", message, headers={"Allow": allowed})
        call = await read(request, operation, self._services)
        handler = HANDLERS.get(operation.id)
        if handler is None:
            raise ApiError(501, "not_implemented_error", f"This server has no {operation.id} yet.")
        return await handler(call)


class _Nowhere:
    """What answers for paths that the contract does not have."""

    def __init__(self, base_path: str) -> None:
        self._base_path = base_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise ApiError(404, "not_found_error", f"There is nothing at this path; paths start with {self._base_path}/.")


class _Around:
    """Gives every response a name, and every exception a body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"req_{uuid.uuid4().hex}"
        started = False

        async def send_named(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except ClientDisconnect:
            return
        except ApiError as error:
            problem = error
        except Exception as error:
            log_failure(_log, f"request {request_id}", error)
            problem = ApiError(500, "server_error", "The server failed. Its log has more under the request id.")
        else:
            return
        if not started:
            await problem.response(request_id)(scope, receive, send_named)
