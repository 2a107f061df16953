"""Retrying transport of the asynchronous client. Twin of ``sync_transport``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpcore

from .._config import Config
from .._operations.client_state import ClientState
from .async_network import Observed
from .async_origin_transport import AsyncBody, AsyncOriginTransport
from .attempts import CallAttempts, Observe
from .content_decoding import BodyDecoder
from .failures import DEADLINE_PASSED, FAILURES, TransportFailure
from .foreign_errors import is_foreign
from .messages import HttpRequest, HttpResponse
from .request_builder import RequestBuilder


class AsyncRetryTransport:
    """A transport that adds the key, retries, typed errors and log lines to every request.

    Requests of generated endpoints pass through it too.
    """

    def __init__(
        self,
        config: Config,
        requests: RequestBuilder,
        inner: AsyncOriginTransport,
        state: ClientState,
        is_closed: Callable[[], bool],
        observe: Observe | None = None,
    ) -> None:
        self.requests = requests
        self._config = config
        self._inner = inner
        self._state = state
        self._is_closed = is_closed
        self._observe = observe

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Send a request and return its response, a success; its body is read unless the request is for a stream."""
        call = CallAttempts(request, self.requests, self._config, self._state, self._observe)
        try:
            return await self._handle(call, request.deadline)
        except asyncio.CancelledError:
            call.cancelled()
            raise

    async def _handle(self, call: CallAttempts, deadline: float) -> HttpResponse:
        while True:
            hooked = self._state.hooks is not None
            outcome = await (self._hooked(call, deadline) if hooked else self._attempt(call, deadline))
            # Decided outside of the except clause: no exception that leaves here may hold httpcore's frames.
            if isinstance(outcome, Exception) and self._is_closed():
                raise call.closed()
            delay = call.delay_after(outcome)
            if isinstance(outcome, HttpResponse) and delay is None:
                return outcome
            await asyncio.sleep(delay or 0.0)

    async def _hooked(self, call: CallAttempts, deadline: float) -> HttpResponse | TransportFailure:
        from .hook_calls import await_hook, request_info, response_info, tell_async

        hooks, info = self._state.hooks, request_info(call)
        if hooks is not None and hooks.on_request is not None:
            await await_hook(hooks.on_request, info)
        outcome = await self._attempt(call, deadline)
        if hooks is not None and hooks.on_response is not None:
            try:
                await tell_async("on_response", hooks.on_response, response_info(call, info, outcome))
            except BaseException:
                if isinstance(outcome, HttpResponse):
                    await outcome.body.aclose()
                raise
        return outcome

    async def _attempt(self, call: CallAttempts, deadline: float) -> HttpResponse | TransportFailure:
        try:
            async with until(deadline):
                with Observed(call):
                    response = await self._inner.handle(*call.next_request())
                call.responded()
                if call.needs_body(response):
                    try:
                        response.content = await _read(response.body, call.decoder(response))
                    finally:
                        await response.body.aclose()
        except FAILURES as failure:
            return failure
        except TimeoutError as error:
            if is_foreign(error):
                raise
            return httpcore.ReadTimeout(DEADLINE_PASSED)
        return response


async def _read(body: AsyncBody, decoder: BodyDecoder) -> bytes:
    """Return what a body stands for. Raises DecodingError."""
    pieces: list[bytes] = []
    while (data := await body.read()) is not None:
        pieces += decoder.decode(data)
    decoder.end()
    return b"".join(pieces)


def until(deadline: float) -> asyncio.Timeout:
    """Return a scope that ends at ``deadline`` (monotonic seconds) with TimeoutError."""
    return asyncio.timeout(max(deadline - time.monotonic(), 0.0))
