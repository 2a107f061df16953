"""Model proxy: the agents' only way to a model, a Messages endpoint on loopback with a key and a budget per task.

An agent receives its task's key, which is valid for this proxy until the task ends; the proxy itself adds the real key.
A call is refused once the task's budget is used up. Otherwise its output is limited to the tokens that the rest of the
budget buys at list price; its prompt, and concurrent calls, can still exceed the budget.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from claude_code_common import sse

from ..domain.engine_protocol import CancelToken, TaskSpec
from ..domain.pricing import affordable_output
from ..domain.usage import Usage
from ..runtime.http_protocol import AUTHENTICATED
from ..runtime.uvicorn_server import UvicornServer, bind
from ..upstream.messages_stream import MessagesEvent, encode_event
from ..upstream.protocol import Upstream, UpstreamError
from .task_credential import TaskCredential
from .usage_meter import ModelCall

_BYTES_PER_TOKEN: Final = 4
_CLIENT_CLOSED_REQUEST: Final = 499
_RETRYABLE: Final = {408, 409, 429}
_SERVER_ERRORS: Final = 500


class ModelProxy:
    """Messages endpoint at ``base_url`` for tasks with a credential, between ``start`` and ``aclose``."""

    def __init__(self, upstream: Upstream) -> None:
        """Create a proxy for ``upstream``, which the caller closes after the proxy."""
        self._upstream = upstream
        self._credentials: dict[str, TaskCredential] = {}
        routes = [
            Route("/v1/messages", self._messages, methods=["POST"]),
            Route("/v1/messages/count_tokens", self._count_tokens, methods=["POST"]),
        ]
        self._app = Starlette(routes=routes)
        self._server: UvicornServer | None = None
        self.base_url = ""

    async def start(self) -> None:
        """Listen on a free port."""
        sock = bind("127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        self._server = UvicornServer(self._app, sock)
        await self._server.start()

    async def aclose(self) -> None:
        """Revoke all credentials and stop listening."""
        self._credentials.clear()
        if self._server is not None:
            await self._server.aclose()
            self._server = None

    def issue_credential(
        self, spec: TaskSpec, cancellation: CancelToken, on_usage: Callable[[Usage], object]
    ) -> TaskCredential:
        """Create the credential of a task. Its next call after ``max_cost`` is used up cancels the task."""
        credential = TaskCredential(
            spec.max_cost, cancellation, on_usage, lambda revoked: self._credentials.pop(revoked.key, None)
        )
        self._credentials[credential.key] = credential
        return credential

    async def _messages(self, http: Request) -> Response:
        credential = self._credential(http)
        if credential is None:
            return _unauthorized()
        raw = await http.body()
        request = _parse(raw)
        if request is None:
            return _refusal(400, "invalid_request_error", "the body is not a JSON object")
        if credential.cancellation.reason is not None:
            return _refusal(400, "invalid_request_error", "the task is being cancelled")
        limited = self._within_budget(credential, request, len(raw) // _BYTES_PER_TOKEN)
        if limited is None:
            return _refusal(402, "billing_error", f"the task has used up its limit of ${credential.max_cost:g}")
        call = credential.meter.start_call(str(request.get("model", "")), free=self._upstream.free)
        beta = http.headers.get("anthropic-beta")
        forward = self._stream if request.get("stream") else self._complete
        try:
            return await _cancel_on_disconnect(http, forward(credential, call, limited, beta))
        except UpstreamError as error:
            return _forward_error(credential, error)

    async def _count_tokens(self, http: Request) -> Response:
        credential = self._credential(http)
        if credential is None:
            return _unauthorized()
        request = _parse(await http.body())
        if request is None:
            return _refusal(400, "invalid_request_error", "the body is not a JSON object")
        try:
            count = await self._upstream.count_tokens(request, beta=http.headers.get("anthropic-beta"))
        except UpstreamError as error:
            return _forward_error(credential, error)
        return JSONResponse({"input_tokens": count})

    def _credential(self, http: Request) -> TaskCredential | None:
        bearer = http.headers.get("authorization", "").removeprefix("Bearer ")
        credential = self._credentials.get(http.headers.get("x-api-key") or bearer)
        setattr(http.state, AUTHENTICATED, credential is not None)
        return credential

    def _within_budget(self, credential: TaskCredential, request: dict[str, Any], prompt: int) -> dict[str, Any] | None:
        """Return the request with its output limited by the budget; None if the budget is used up."""
        if self._upstream.free:
            return request
        left = credential.max_cost - credential.usage.cost
        if left <= 0:
            credential.cancellation.cancel("cost_exceeded")
            return None
        tokens = affordable_output(str(request.get("model", "")), left, prompt)
        if tokens is None or tokens >= int(request.get("max_tokens") or 0):
            return request
        return {**request, "max_tokens": max(1, tokens)}

    async def _complete(
        self, credential: TaskCredential, call: ModelCall, request: Mapping[str, Any], beta: str | None
    ) -> Response:
        body = await self._upstream.complete(request, beta=beta)
        credential.last_error = None
        credential.add_message(call, body)
        return Response(json.dumps(body), media_type="application/json")

    async def _stream(
        self, credential: TaskCredential, call: ModelCall, request: Mapping[str, Any], beta: str | None
    ) -> Response:
        """Start a streamed response with the first event, so that a refusal keeps the upstream's own status."""
        events = self._upstream.stream(request, beta=beta)
        try:
            first = await anext(events)
        except StopAsyncIteration:
            raise UpstreamError(502, "api_error", f"{self._upstream.name} sent an empty response") from None
        credential.last_error = None
        credential.add_event(call, first)
        return _EventStreamResponse(_forward_events(credential, call, first, events), events)


class _EventStreamResponse(StreamingResponse):
    """Response that closes its source however it ends: completed, broken off upstream, or abandoned by the agent."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], source: AsyncGenerator[MessagesEvent, None]) -> None:
        super().__init__(chunks, media_type=sse.MEDIA_TYPE)
        self._chunks = chunks
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._source), aclosing(self._chunks):
            await super().__call__(scope, receive, send)


async def _forward_events(
    credential: TaskCredential, call: ModelCall, first: MessagesEvent, rest: AsyncGenerator[MessagesEvent, None]
) -> AsyncGenerator[bytes, None]:
    yield encode_event(first)
    try:
        async for event in rest:
            credential.add_event(call, event)
            yield encode_event(event)
    except UpstreamError as error:
        credential.last_error = error
        yield encode_event(_error_body(error.type, error.message))


async def _cancel_on_disconnect(http: Request, response: Coroutine[Any, Any, Response]) -> Response:
    """Return the response, but cancel it when the agent disconnects: it would cost money and reach nobody."""
    working = asyncio.create_task(response)
    disconnecting = asyncio.create_task(_wait_disconnected(http))
    try:
        await asyncio.wait({working, disconnecting}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else Response(status_code=_CLIENT_CLOSED_REQUEST)
    finally:
        for task in (working, disconnecting):
            task.cancel()
        await asyncio.gather(working, disconnecting, return_exceptions=True)


async def _wait_disconnected(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


def _parse(raw: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(raw)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _error_body(type: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": type, "message": message}}


def _refusal(status: int, type: str, message: str) -> Response:
    return JSONResponse(_error_body(type, message), status, {"x-should-retry": "false"})


def _unauthorized() -> Response:
    return _refusal(401, "authentication_error", "this key does not belong to a running task")


def _forward_error(credential: TaskCredential, error: UpstreamError) -> Response:
    credential.last_error = error
    headers = {} if error.retry_after is None else {"retry-after": f"{error.retry_after:g}"}
    if error.status < _SERVER_ERRORS and error.status not in _RETRYABLE:
        headers["x-should-retry"] = "false"
    return JSONResponse(_error_body(error.type, error.message), error.status, headers)
