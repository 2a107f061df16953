"""Open response of a synchronous operation."""

from __future__ import annotations

import time
from collections.abc import Iterator

from .._operations.effects import Head, Open, Read
from .cancellation import CancelToken
from .content_decoding import BodyDecoder
from .deadline_network import Bounds
from .failures import FAILURES, TransportFailure, body_error
from .foreign_errors import foreign_cause
from .messages import HttpResponse, head
from .sync_origin_transport import SyncBody
from .sync_transport import SyncRetryTransport


class SyncOpenResponse:
    """At most one response whose body is read piece by piece."""

    def __init__(self, token: CancelToken) -> None:
        self._token = token
        self._response: HttpResponse | None = None
        self._decoder: BodyDecoder | None = None
        self._pieces: Iterator[bytes] = iter(())
        """Rest of the bytes that were read last, decoded."""
        self._deadline = 0.0

    def open(self, http: SyncRetryTransport, effect: Open) -> Head:
        """Send a request and take its response in place of the one before."""
        self.close()
        self._deadline = effect.deadline
        self._response = response = http.handle(http.requests.stream(effect, token=self._token))
        self._decoder = BodyDecoder(response.headers.get("content-encoding", ""), None)
        self._pieces = iter(())
        return head(response)

    def read(self, effect: Read) -> bytes | None:
        """Return the next bytes of the body; None at its end."""
        if self._response is None:
            return None
        until = min(effect.until, self._deadline)
        failure: TransportFailure
        try:
            with Bounds(until, self._token):
                chunk = self._next(self._response.body)
        except FAILURES as error:
            failure = error
        else:
            self._token.check()
            return chunk
        self._token.check()
        foreign = foreign_cause(failure)
        if foreign is not None:
            raise foreign
        raise body_error(failure, self._response, overdue=time.monotonic() >= until)

    def close(self) -> None:
        if self._response is not None:
            self._response.body.close()
            self._response = None

    def _next(self, body: SyncBody) -> bytes | None:
        while (piece := next(self._pieces, None)) is None and self._decoder is not None:
            data = body.read()
            if data is None:
                self._decoder.end()
                return None
            self._pieces = iter(self._decoder.decode(data))
        return piece
