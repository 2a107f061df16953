"""Retrying transport of the synchronous client."""

from __future__ import annotations

import httpx

from .._config import Config
from .._operations.client_state import ClientState
from .attempts import CallAttempts
from .cancellation import CancelRegistry, CancelToken
from .deadline_network import deadline_scope
from .foreign_errors import foreign_cause
from .httpx_errors import TransportFailure


class SyncRetryTransport(httpx.BaseTransport):
    """A transport that adds the key, retries, typed errors and log lines to every request.

    Requests of generated endpoints pass through it too.
    """

    def __init__(self, config: Config, inner: httpx.BaseTransport, state: ClientState, tokens: CancelRegistry) -> None:
        self._config = config
        self._inner = inner
        self._state = state
        self._tokens = tokens

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        call = CallAttempts(request, self._config, self._state)
        if call.token is not None:
            return self._handle(call, call.token)
        token = CancelToken()
        with self._tokens.registered(token):
            return self._handle(call, token)

    def _handle(self, call: CallAttempts, token: CancelToken) -> httpx.Response:
        while True:
            outcome = self._attempt(call, token)
            # Decided outside of the except clause: no exception that leaves here may hold httpx's frames.
            if token.is_cancelled:
                if isinstance(outcome, httpx.Response):
                    outcome.close()
                raise call.closed()
            delay = call.delay_after(outcome)
            if isinstance(outcome, httpx.Response) and delay is None:
                return outcome
            if token.wait(delay or 0.0):
                raise call.closed()

    def _attempt(self, call: CallAttempts, token: CancelToken) -> httpx.Response | TransportFailure:
        foreign: BaseException | None
        try:
            with deadline_scope(call.deadline, token):
                request = call.next_request(call.trace)
                response = call.decoded(self._inner.handle_request(request))
                if call.needs_body(response):
                    try:
                        response.read()
                    finally:
                        response.close()
        except (httpx.HTTPError, httpx.StreamError) as failure:
            foreign = foreign_cause(failure)
            if foreign is None:
                return failure
        else:
            return response
        raise foreign
