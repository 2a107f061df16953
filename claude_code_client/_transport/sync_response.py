"""Open response of a synchronous operation."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx

from .._operations.effects import Head, Open, Read
from .cancellation import CancelToken
from .deadline_network import deadline_scope
from .foreign_errors import foreign_cause
from .httpx_errors import TransportFailure, body_error
from .request_context import head
from .sync_http import SyncHttp


class SyncOpenResponse:
    """At most one response whose body is read piece by piece."""

    def __init__(self, token: CancelToken) -> None:
        self._token = token
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())
        self._deadline = 0.0

    def open(self, http: SyncHttp, effect: Open) -> Head:
        """Send a request and take its response in place of the one before."""
        self.close()
        self._deadline = effect.deadline
        self._response = http.send(http.requests.stream(effect, token=self._token))
        self._chunks = self._response.iter_bytes()
        return head(self._response)

    def read(self, effect: Read) -> bytes | None:
        """Return the next bytes of the body; None at its end."""
        if self._response is None:
            return None
        until = min(effect.until, self._deadline)
        failure: TransportFailure
        try:
            with deadline_scope(until, self._token):
                chunk = next(self._chunks, None)
        except (httpx.HTTPError, httpx.StreamError) as error:
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
            self._response.close()
            self._response = None
