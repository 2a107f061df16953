"""Open response of an asynchronous operation. Twin of ``sync_response``."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpcore

from .._operations.effects import Head, Open, Read
from .async_origin_transport import AsyncBody
from .async_transport import AsyncRetryTransport, until
from .content_decoding import BodyDecoder
from .failures import DEADLINE_PASSED, FAILURES, TransportFailure, body_error
from .foreign_errors import is_foreign
from .messages import HttpResponse, OnCancelled, head


class AsyncOpenResponse:
    """At most one response whose body is read piece by piece."""

    def __init__(self) -> None:
        self._response: HttpResponse | None = None
        self._decoder: BodyDecoder | None = None
        self._pieces: Iterator[bytes] = iter(())
        """Rest of the bytes that were read last, decoded."""
        self._deadline = 0.0

    async def open(self, http: AsyncRetryTransport, effect: Open, on_cancelled: OnCancelled) -> Head:
        """Send a request and take its response in place of the one before."""
        await self.aclose()
        self._deadline = effect.deadline
        self._response = response = await http.handle(http.requests.stream(effect, on_cancelled=on_cancelled))
        self._decoder = BodyDecoder(response.headers.get("content-encoding", ""), None)
        self._pieces = iter(())
        return head(response)

    async def read(self, effect: Read) -> bytes | None:
        """Return the next bytes of the body; None at its end."""
        if self._response is None:
            return None
        deadline = min(effect.until, self._deadline)
        failure: TransportFailure
        try:
            async with until(deadline):
                return await self._next(self._response.body)
        except TimeoutError as error:
            if is_foreign(error):
                raise
            failure = httpcore.ReadTimeout(DEADLINE_PASSED)
        except FAILURES as error:
            failure = error
        raise body_error(failure, self._response, overdue=time.monotonic() >= deadline)

    async def aclose(self) -> None:
        if self._response is not None:
            await self._response.body.aclose()
            self._response = None

    async def _next(self, body: AsyncBody) -> bytes | None:
        while (piece := next(self._pieces, None)) is None and self._decoder is not None:
            data = await body.read()
            if data is None:
                self._decoder.end()
                return None
            self._pieces = iter(self._decoder.decode(data))
        return piece
