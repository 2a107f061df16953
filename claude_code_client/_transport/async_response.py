"""Open response of an asynchronous operation. Twin of ``sync_response``."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import httpx

from .._operations.effects import Head, Open, Read
from .async_http import AsyncHttp
from .async_transport import until
from .foreign_errors import is_foreign
from .httpx_errors import DEADLINE_PASSED, TransportFailure, body_error
from .request_context import OnCancelled, head


class AsyncOpenResponse:
    """At most one response whose body is read piece by piece."""

    def __init__(self) -> None:
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None
        self._deadline = 0.0

    async def open(self, http: AsyncHttp, effect: Open, on_cancelled: OnCancelled) -> Head:
        """Send a request and take its response in place of the one before."""
        await self.aclose()
        self._deadline = effect.deadline
        self._response = await http.send(http.requests.stream(effect, on_cancelled=on_cancelled))
        self._chunks = self._response.aiter_bytes()
        return head(self._response)

    async def read(self, effect: Read) -> bytes | None:
        """Return the next bytes of the body; None at its end."""
        if self._response is None or self._chunks is None:
            return None
        deadline = min(effect.until, self._deadline)
        failure: TransportFailure
        try:
            async with until(deadline):
                return await anext(self._chunks, None)
        except TimeoutError as error:
            if is_foreign(error):
                raise
            failure = httpx.ReadTimeout(DEADLINE_PASSED)
        except (httpx.HTTPError, httpx.StreamError) as error:
            failure = error
        raise body_error(failure, self._response, overdue=time.monotonic() >= deadline)

    async def aclose(self) -> None:
        if self._response is not None:
            await self._response.aclose()
            self._response = None
