"""Retrying transport of the asynchronous client. Twin of ``sync_transport``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx

from .._config import Config
from .._operations.client_state import ClientState
from .attempts import CallAttempts
from .foreign_errors import is_foreign
from .httpx_errors import DEADLINE_PASSED, TransportFailure


class AsyncRetryTransport(httpx.AsyncBaseTransport):
    """A transport that adds the key, retries, typed errors and log lines to every request.

    Requests of generated endpoints pass through it too.
    """

    def __init__(
        self, config: Config, inner: httpx.AsyncBaseTransport, state: ClientState, is_closed: Callable[[], bool]
    ) -> None:
        self._config = config
        self._inner = inner
        self._state = state
        self._is_closed = is_closed

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        call = CallAttempts(request, self._config, self._state)
        try:
            return await self._handle(call)
        except asyncio.CancelledError:
            call.cancelled()
            raise

    async def _handle(self, call: CallAttempts) -> httpx.Response:
        while True:
            outcome = await self._attempt(call)
            # Decided outside of the except clause: no exception that leaves here may hold httpx's frames.
            if isinstance(outcome, Exception) and self._is_closed():
                raise call.closed()
            delay = call.delay_after(outcome)
            if isinstance(outcome, httpx.Response) and delay is None:
                return outcome
            await asyncio.sleep(delay or 0.0)

    async def _attempt(self, call: CallAttempts) -> httpx.Response | TransportFailure:
        try:
            async with until(call.deadline):
                request = call.next_request(call.atrace)
                response = call.decoded(await self._inner.handle_async_request(request))
                if call.needs_body(response):
                    try:
                        await response.aread()
                    finally:
                        await response.aclose()
        except (httpx.HTTPError, httpx.StreamError) as failure:
            return failure
        except TimeoutError as error:
            if is_foreign(error):
                raise
            return httpx.ReadTimeout(DEADLINE_PASSED)
        return response


def until(deadline: float) -> asyncio.Timeout:
    """Return a scope that ends at ``deadline`` (monotonic seconds) with TimeoutError."""
    return asyncio.timeout(max(deadline - time.monotonic(), 0.0))
