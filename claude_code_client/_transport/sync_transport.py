"""Retrying transport of the synchronous client."""

from __future__ import annotations

from .._config import Config
from .._operations.client_state import ClientState
from .attempts import CallAttempts
from .cancellation import CancelRegistry, CancelToken
from .content_decoding import BodyDecoder
from .deadline_network import Bounds
from .failures import FAILURES, TransportFailure
from .foreign_errors import foreign_cause
from .messages import HttpRequest, HttpResponse
from .request_builder import RequestBuilder
from .sync_origin_transport import SyncBody, SyncOriginTransport


class SyncRetryTransport:
    """A transport that adds the key, retries, typed errors and log lines to every request.

    Requests of generated endpoints pass through it too.
    """

    def __init__(
        self,
        config: Config,
        requests: RequestBuilder,
        inner: SyncOriginTransport,
        state: ClientState,
        tokens: CancelRegistry,
    ) -> None:
        self.requests = requests
        self._config = config
        self._inner = inner
        self._state = state
        self._tokens = tokens

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Send a request and return its response, a success; its body is read unless the request is for a stream."""
        call = CallAttempts(request, self.requests, self._config, self._state)
        if request.token is not None:
            return self._handle(call, request.deadline, request.token)
        token = CancelToken()
        try:
            self._tokens.add(token)
            return self._handle(call, request.deadline, token)
        finally:
            self._tokens.discard(token)

    def _handle(self, call: CallAttempts, deadline: float, token: CancelToken) -> HttpResponse:
        bounds = Bounds(deadline, token, call)
        while True:
            outcome = self._attempt(call, bounds) if self._state.hooks is None else self._hooked(call, bounds)
            # Decided outside of the except clause: no exception that leaves here may hold httpcore's frames.
            if token.is_cancelled:
                if isinstance(outcome, HttpResponse):
                    outcome.body.close()
                raise call.closed()
            delay = call.delay_after(outcome)
            if isinstance(outcome, HttpResponse) and delay is None:
                return outcome
            if token.wait(delay or 0.0):
                raise call.closed()

    def _hooked(self, call: CallAttempts, bounds: Bounds) -> HttpResponse | TransportFailure:
        from .hook_calls import call_hook, request_info, response_info, tell

        hooks, info = self._state.hooks, request_info(call)
        if hooks is not None and hooks.on_request is not None:
            call_hook(hooks.on_request, info)
        outcome = self._attempt(call, bounds)
        if hooks is not None and hooks.on_response is not None:
            try:
                tell("on_response", hooks.on_response, response_info(call, info, outcome))
            except BaseException:
                if isinstance(outcome, HttpResponse):
                    outcome.body.close()
                raise
        return outcome

    def _attempt(self, call: CallAttempts, bounds: Bounds) -> HttpResponse | TransportFailure:
        foreign: BaseException | None
        try:
            with bounds:
                response = self._inner.handle(*call.next_request())
                call.responded()
                if call.needs_body(response):
                    try:
                        response.content = _read(response.body, call.decoder(response))
                    finally:
                        response.body.close()
        except FAILURES as failure:
            foreign = foreign_cause(failure)
            if foreign is None:
                return failure
        else:
            return response
        raise foreign


def _read(body: SyncBody, decoder: BodyDecoder) -> bytes:
    """Return what a body stands for. Raises DecodingError."""
    pieces: list[bytes] = []
    while (data := body.read()) is not None:
        pieces += decoder.decode(data)
    decoder.end()
    return b"".join(pieces)
