"""The only way from an agent to a model: a Messages endpoint on loopback, with a key and a meter per task.

The agent is given its task's key, good for this relay until the task ends; the real key is added behind it.
Before each call the relay looks at what the task has spent: nothing left, no call. A call that is let through
may write at most what is left pays for, at list price; its prompt, and calls that run side by side, can still
overshoot.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from claude_code_server import catalog
from claude_code_server._listener import Listener, bind
from claude_code_server._meter import Call, Meter
from claude_code_server.engine.base import Order, Spent, Stop
from claude_code_server.upstream import Event, Upstream, UpstreamError, sse

_BYTES_A_TOKEN = 4
_CLIENT_CLOSED_REQUEST = 499
_WORTH_ANOTHER_TRY = {408, 409, 429}
_SERVER_ERRORS = 500
_WORTH_NOTING = ("message_start", "content_block_stop", "message_delta")


@dataclass(eq=False)
class Admission:
    """One task's leave to ask the model, until ``close``."""

    max_cost: float
    """USD."""
    stop: Stop
    on_spent: Callable[[Spent], object]
    """Called with ``spent`` while it grows, a few times a call."""
    _relay: "Relay"
    key: str = field(default_factory=lambda: f"sk-task-{secrets.token_urlsafe(32)}", repr=False)
    last_error: UpstreamError | None = None
    """What the upstream said last, if that was an error."""
    meter: Meter = field(default_factory=Meter, repr=False)

    @property
    def spent(self) -> Spent:
        return self.meter.spent

    def see(self, call: Call, event: Event) -> None:
        """Count one streaming event of a call."""
        call.see(event)
        if event.get("type") in _WORTH_NOTING:
            self.on_spent(self.spent)

    def see_whole(self, call: Call, message: Mapping[str, Any]) -> None:
        """Count a reply that did not stream."""
        call.see_whole(message)
        self.on_spent(self.spent)

    def close(self) -> None:
        self._relay._admitted.pop(self.key, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Relay:
    """Between ``start`` and ``aclose``, answers on ``base_url`` for the tasks that were admitted."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._admitted: dict[str, Admission] = {}
        routes = [
            Route("/v1/messages", self._messages, methods=["POST"]),
            Route("/v1/messages/count_tokens", self._count_tokens, methods=["POST"]),
        ]
        self._app = Starlette(routes=routes)
        self._listener: Listener | None = None
        self.base_url = ""

    async def start(self) -> None:
        sock = bind("127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        self._listener = Listener(self._app, sock)
        await self._listener.start()

    async def aclose(self) -> None:
        """Stop answering. The upstream stays open; it is the caller's."""
        self._admitted.clear()
        if self._listener is not None:
            await self._listener.aclose()
            self._listener = None

    def admit(self, order: Order, stop: Stop, on_spent: Callable[[Spent], object]) -> Admission:
        """A new key for a task. When its ``max_cost`` is spent, ``stop`` is asked for."""
        admission = Admission(order.max_cost, stop, on_spent, self)
        self._admitted[admission.key] = admission
        return admission

    async def _messages(self, http: Request) -> Response:
        admission = self._admission(http)
        if admission is None:
            return _refusal(401, "authentication_error", "this key is not, or no longer, that of a running task")
        raw = await http.body()
        request = _parse(raw)
        if request is None:
            return _refusal(400, "invalid_request_error", "the body is not a JSON object")
        if admission.stop.reason is not None:
            return _refusal(400, "invalid_request_error", "the task is being stopped")
        limited = self._within_budget(admission, request, len(raw) // _BYTES_A_TOKEN)
        if limited is None:
            return _refusal(402, "billing_error", f"the task's limit of ${admission.max_cost:g} is spent")
        call = admission.meter.start(str(request.get("model", "")), free=self._upstream.free)
        beta = http.headers.get("anthropic-beta")
        answer = self._streamed if request.get("stream") else self._whole
        try:
            return await _unless_gone(http, answer(admission, call, limited, beta))
        except UpstreamError as error:
            return _passed_on(admission, error)

    async def _count_tokens(self, http: Request) -> Response:
        admission = self._admission(http)
        if admission is None:
            return _refusal(401, "authentication_error", "this key is not, or no longer, that of a running task")
        request = _parse(await http.body())
        if request is None:
            return _refusal(400, "invalid_request_error", "the body is not a JSON object")
        try:
            count = await self._upstream.count_tokens(request, beta=http.headers.get("anthropic-beta"))
        except UpstreamError as error:
            return _passed_on(admission, error)
        return JSONResponse({"input_tokens": count})

    def _admission(self, http: Request) -> Admission | None:
        bearer = http.headers.get("authorization", "").removeprefix("Bearer ")
        return self._admitted.get(http.headers.get("x-api-key") or bearer)

    def _within_budget(self, admission: Admission, request: dict[str, Any], prompt: int) -> dict[str, Any] | None:
        """The request as it may be forwarded, or None if it may not."""
        if self._upstream.free:
            return request
        left = admission.max_cost - admission.spent.cost
        if left <= 0:
            admission.stop.ask("cost_exceeded")
            return None
        tokens = catalog.affordable_output(str(request.get("model", "")), left, prompt)
        if tokens is None or tokens >= int(request.get("max_tokens") or 0):
            return request
        return {**request, "max_tokens": max(1, tokens)}

    async def _whole(self, admission: Admission, call: Call, request: Mapping[str, Any], beta: str | None) -> Response:
        body = await self._upstream.complete(request, beta=beta)
        admission.last_error = None
        admission.see_whole(call, body)
        return Response(json.dumps(body), media_type="application/json")

    async def _streamed(
        self, admission: Admission, call: Call, request: Mapping[str, Any], beta: str | None
    ) -> Response:
        """Waits for the first event, so that an upstream which refuses gets its own status passed on."""
        events = self._upstream.stream(request, beta=beta)
        try:
            first = await anext(events)
        except StopAsyncIteration:
            raise UpstreamError(502, "api_error", f"{self._upstream.name} sent an empty reply") from None
        admission.last_error = None
        admission.see(call, first)
        return _Streaming(_relayed(admission, call, first, events), events)


class _Streaming(StreamingResponse):
    """Closes its events at once however it ends: sent, broken off by the upstream, or left by the agent."""

    def __init__(self, relayed: AsyncGenerator[bytes, None], source: AsyncGenerator[Event, None]) -> None:
        super().__init__(relayed, media_type="text/event-stream")
        self._relayed = relayed
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._source), aclosing(self._relayed):
            await super().__call__(scope, receive, send)


async def _relayed(
    admission: Admission, call: Call, first: Event, rest: AsyncGenerator[Event, None]
) -> AsyncGenerator[bytes, None]:
    yield sse.encode(first)
    try:
        async for event in rest:
            admission.see(call, event)
            yield sse.encode(event)
    except UpstreamError as error:
        admission.last_error = error
        yield sse.encode(_error(error.type, error.message))


async def _unless_gone(http: Request, answer: Coroutine[Any, Any, Response]) -> Response:
    """The answer, given up as soon as whoever asked has left: nobody would read it, somebody would pay."""
    working = asyncio.create_task(answer)
    leaving = asyncio.create_task(_left(http))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else Response(status_code=_CLIENT_CLOSED_REQUEST)
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


def _parse(raw: bytes) -> dict[str, Any] | None:
    try:
        body = json.loads(raw)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _error(type: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": type, "message": message}}


def _refusal(status: int, type: str, message: str) -> Response:
    return JSONResponse(_error(type, message), status, {"x-should-retry": "false"})


def _passed_on(admission: Admission, error: UpstreamError) -> Response:
    admission.last_error = error
    headers = {} if error.retry_after is None else {"retry-after": f"{error.retry_after:g}"}
    if error.status < _SERVER_ERRORS and error.status not in _WORTH_ANOTHER_TRY:
        headers["x-should-retry"] = "false"
    return JSONResponse(_error(error.type, error.message), error.status, headers)
