"""Model proxy: the agents' only way to a model, a Messages endpoint on loopback with a key and a budget per task.

An agent receives its task's key, which is valid for this proxy until the task ends; the proxy itself adds the real key.
Before a call is forwarded, the most that it may cost is reserved in the task's budget, and its output is limited to
what the budget can pay for. Calls side by side share the budget. Once it is used up, the task is cancelled.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from claude_code_common import sse

from ..domain.engine_protocol import CancelToken, TaskSpec
from ..domain.key_account import NO_BUDGET, WorkBudget
from ..domain.model_catalog import Tariff, UnknownModelError
from ..domain.usage import Usage
from ..runtime.error_logging import log_exception
from ..runtime.http_protocol import AUTHENTICATED
from ..runtime.uvicorn_server import UvicornServer, bind
from ..upstream.messages_stream import MessagesEvent, encode_event
from ..upstream.protocol import Upstream, UpstreamError
from .messages_request import MAX_BODY_BYTES, AgentRequest, RefusedRequestError, check_beta, parse_request
from .task_credential import TaskCredential
from .usage_meter import ModelCall

_log = logging.getLogger(__name__)
_LARGE_BODY: Final = 32_768
"""Bytes above which a body is parsed in a thread."""
_WEB_SEARCH: Final = "WebSearch"
_CLIENT_CLOSED_REQUEST: Final = 499
_RETRYABLE: Final = {408, 409, 429}
_SERVER_ERRORS: Final = 500


class ModelProxy:
    """Messages endpoint at ``base_url`` for tasks with a credential, between ``start`` and ``aclose``."""

    def __init__(self, upstream: Upstream, tariff: Tariff) -> None:
        """Create a proxy for ``upstream``, which the caller closes after the proxy."""
        self.tariff = tariff
        self._upstream = upstream
        self._credentials: dict[str, TaskCredential] = {}
        self._parsing = asyncio.Semaphore(2)
        """Limits the memory of large bodies that are parsed at the same time."""
        routes = [
            Route("/v1/messages", self._handler(self._messages), methods=["POST"]),
            Route("/v1/messages/count_tokens", self._handler(self._count_tokens), methods=["POST"]),
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

    def serve_also(self, sock: socket.socket) -> Callable[[], None]:
        """Serve on another listening socket too, until the function is called that this one returns."""
        if self._server is None:
            raise RuntimeError("the proxy has not started")
        return self._server.serve_also(sock)

    async def aclose(self) -> None:
        """Revoke all credentials and stop listening."""
        for credential in list(self._credentials.values()):
            credential.revoke()
        if self._server is not None:
            await self._server.aclose()
            self._server = None

    def issue_credential(
        self,
        spec: TaskSpec,
        cancellation: CancelToken,
        on_usage: Callable[[Usage, float], object],
        budget: WorkBudget = NO_BUDGET,
    ) -> TaskCredential:
        """Create the credential of a task. A call that ``max_cost`` or ``budget`` cannot pay for cancels the task."""
        credential = TaskCredential(
            spec.max_cost,
            (spec.model, self.small_model(spec)),
            _WEB_SEARCH in spec.tools,
            cancellation,
            on_usage,
            lambda revoked: self._credentials.pop(revoked.key, None),
            budget=budget,
        )
        self._credentials[credential.key] = credential
        return credential

    def small_model(self, spec: TaskSpec) -> str:
        """Return the model for the minor work of a task."""
        return spec.small_model or self.tariff.small_model(spec.model)

    def _handler(
        self, handle: Callable[[Request, TaskCredential], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Return ``handle`` with a check of the key before it, and with errors as responses."""

        async def checked(http: Request) -> Response:
            bearer = http.headers.get("authorization", "").removeprefix("Bearer ")
            credential = self._credentials.get(http.headers.get("x-api-key") or bearer)
            if credential is None:
                return _refusal(401, "authentication_error", "this key does not belong to a running task")
            setattr(http.state, AUTHENTICATED, True)
            try:
                return await handle(http, credential)
            except RefusedRequestError as error:
                return _refusal(error.status, error.type, error.message)
            except UnknownModelError as error:
                return _refusal(400, "invalid_request_error", str(error))
            except UpstreamError as error:
                return _forward_error(credential, error)
            except ClientDisconnect:
                return Response(status_code=_CLIENT_CLOSED_REQUEST)
            except Exception as error:
                log_exception(_log, "a model call", error)
                return _refusal(500, "api_error", "the proxy failed")

        return checked

    async def _messages(self, http: Request, credential: TaskCredential) -> Response:
        beta = check_beta(http.headers.get("anthropic-beta"))
        request = await self._request(http, credential)
        return await _cancel_with_agent(http, credential, self._call(credential, request, beta))

    async def _count_tokens(self, http: Request, credential: TaskCredential) -> Response:
        beta = check_beta(http.headers.get("anthropic-beta"))
        request = await self._request(http, credential, counting=True)
        counted = {name: value for name, value in request.body.items() if name not in ("max_tokens", "stream")}
        return JSONResponse({"input_tokens": await self._upstream.count_tokens(counted, beta=beta)})

    async def _request(self, http: Request, credential: TaskCredential, *, counting: bool = False) -> AgentRequest:
        """Read the body of a request, and check that the task may make it. Raise RefusedRequestError."""
        raw = await _read_body(http)
        if len(raw) <= _LARGE_BODY:
            request = parse_request(raw, web_search=credential.web_search, counting=counting)
        else:
            async with self._parsing:
                request = await asyncio.to_thread(
                    parse_request, raw, web_search=credential.web_search, counting=counting
                )
        del raw
        if not any(self.tariff.catalog.same_model(request.model, permitted) for permitted in credential.models):
            permitted = " and ".join(dict.fromkeys(credential.models))
            raise RefusedRequestError(f"model: this task may only call {permitted}", 403, "permission_error")
        return request

    async def _call(self, credential: TaskCredential, request: AgentRequest, beta: str | None) -> Response:
        call = await credential.start_call(self.tariff.price(request.model), request.need)
        if call is None:
            if not credential.usable:
                raise RefusedRequestError("the task is being cancelled")
            credential.cancellation.cancel("cost_exceeded")
            limit = credential.exceeded or f"the task's limit of ${credential.max_cost:g}"
            message = f"the rest of {limit} does not pay for this call"
            raise RefusedRequestError(message, 402, "billing_error")
        body = request.limited_to(call.max_output)
        try:
            return await (self._stream if request.stream else self._complete)(credential, call, body, beta)
        except BaseException as error:
            credential.end_call(call, refused=isinstance(error, UpstreamError) and not error.may_be_billed)
            raise

    async def _complete(
        self, credential: TaskCredential, call: ModelCall, request: Mapping[str, Any], beta: str | None
    ) -> Response:
        body = await self._upstream.complete(request, beta=beta)
        credential.last_error = None
        credential.add_message(call, body)
        credential.end_call(call)
        return Response(json.dumps(body), media_type="application/json")

    async def _stream(
        self, credential: TaskCredential, call: ModelCall, request: Mapping[str, Any], beta: str | None
    ) -> Response:
        """Start a streamed response with the first event, so that a refusal keeps the upstream's own status."""
        events = self._upstream.stream(request, beta=beta)
        try:
            first = await anext(events)
        except StopAsyncIteration:
            message = f"{self._upstream.name} sent an empty response"
            raise UpstreamError(502, "api_error", message, may_be_billed=True) from None
        credential.last_error = None
        credential.add_event(call, first)
        return _EventStreamResponse(_forward_events(credential, call, first, events), events, credential, call)


class _EventStreamResponse(StreamingResponse):
    """Response that closes its source however it ends: completed, broken off upstream, or abandoned by the agent."""

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        source: AsyncGenerator[MessagesEvent, None],
        credential: TaskCredential,
        call: ModelCall,
    ) -> None:
        super().__init__(chunks, media_type=sse.MEDIA_TYPE)
        self._chunks = chunks
        self._source = source
        self._credential = credential
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(self._source), aclosing(self._chunks):
                await super().__call__(scope, receive, send)
        finally:
            self._credential.end_call(self._call)


async def _forward_events(
    credential: TaskCredential, call: ModelCall, first: MessagesEvent, rest: AsyncGenerator[MessagesEvent, None]
) -> AsyncGenerator[bytes, None]:
    yield encode_event(first)
    try:
        async for event in rest:
            if credential.revoked:
                return
            credential.add_event(call, event)
            if event.get("type") == "message_stop":
                # Before the agent receives it, and makes its next call.
                credential.end_call(call)
            yield encode_event(event)
    except UpstreamError as error:
        credential.last_error = error
        credential.end_call(call)
        yield encode_event(_error_body(error.type, error.message))


async def _cancel_with_agent(
    http: Request, credential: TaskCredential, response: Coroutine[Any, Any, Response]
) -> Response:
    """Return the response, but cancel it when the agent disconnects or its task ends: it would reach nobody."""
    working = asyncio.create_task(response)
    leaving = [asyncio.create_task(_wait_disconnected(http)), asyncio.create_task(credential.wait_revoked())]
    try:
        await asyncio.wait({working, *leaving}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else Response(status_code=_CLIENT_CLOSED_REQUEST)
    finally:
        for task in (working, *leaving):
            task.cancel()
        await asyncio.gather(working, *leaving, return_exceptions=True)


async def _wait_disconnected(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


async def _read_body(http: Request) -> bytes:
    """Return the body of a request. Raise RefusedRequestError as soon as it is too large."""
    parts: list[bytes] = []
    size = 0
    announced = http.headers.get("content-length", "0")
    if announced.isdecimal():
        size = int(announced[:20])
    if size <= MAX_BODY_BYTES:
        size = 0
        async for part in http.stream():
            parts.append(part)
            size += len(part)
            if size > MAX_BODY_BYTES:
                break
    if size > MAX_BODY_BYTES:
        message = f"the body is larger than {MAX_BODY_BYTES:,} bytes"
        raise RefusedRequestError(message, 413, "request_too_large")
    return b"".join(parts)


def _error_body(type: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": type, "message": message}}


def _refusal(status: int, type: str, message: str) -> Response:
    return _error_response(status, type, message, {"x-should-retry": "false"})


def _forward_error(credential: TaskCredential, error: UpstreamError) -> Response:
    credential.last_error = error
    headers = {} if error.retry_after is None else {"retry-after": f"{error.retry_after:g}"}
    if error.status < _SERVER_ERRORS and error.status not in _RETRYABLE:
        headers["x-should-retry"] = "false"
    return _error_response(error.status, error.type, error.message, headers)


def _error_response(status: int, type: str, message: str, headers: Mapping[str, str]) -> Response:
    # In ASCII, because a message may contain lone surrogates.
    return Response(json.dumps(_error_body(type, message)), status, headers, media_type="application/json")
