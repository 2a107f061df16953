"""Attempts of one HTTP call: the request of each, its log lines, and what the retry policy has to know of it."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs
import httpcore

from .._config import Config, is_secret
from .._operations.client_state import ClientState
from .._operations.effects import Delivery
from .._policy.retry import AttemptFailure, Raise, RetryState, is_repeatable, is_safe, next_step, parse_retry_after
from .._wire import contract_evidence
from .._wire.error_bodies import from_response
from ..errors import AuthenticationError, ClaudeAPIError, ClosedError, NotSupportedError
from .cancellation import CLOSED_DURING_CALL
from .content_decoding import BodyDecoder
from .failures import CONNECT_TIMEOUT, TransportFailure, translate
from .messages import HttpRequest, HttpResponse
from .request_builder import RequestBuilder

_TROUBLE: Final = frozenset({429, 502, 503, 504})
"""Statuses of a server, or a proxy, that may answer later."""
_CONNECTION_LOST: Final = (httpcore.NetworkError, httpcore.RemoteProtocolError, httpcore.ConnectionNotAvailable)

logger = logging.getLogger("claude_code_client")

Observe = Callable[[int, Mapping[str, str]], object]
"""Called with the status and the headers of each response."""


class CallAttempts:
    """The attempts of one call. It builds requests, measures and logs; the policy decides, a transport does the I/O."""

    def __init__(
        self,
        request: HttpRequest,
        requests: RequestBuilder,
        config: Config,
        state: ClientState,
        observe: Observe | None = None,
    ) -> None:
        self._request = request
        self._observe = observe
        self._requests = requests
        self._config = config
        self._quota = state.quota
        self._contract = state.contract
        self._quota_taken = 0
        repeatable = request.repeatable
        if repeatable is None:
            repeatable = is_repeatable(request.method, request.header(b"idempotency-key"))
        self._state = RetryState(
            max_retries=config.max_retries,
            # A body that is read from an iterator is gone after the first attempt.
            repeatable=repeatable and isinstance(request.body, bytes),
            safe=is_safe(request.method),
        )
        self._sent = False
        self._stale = False
        """True as long as the attempt uses a connection from before on which it has received nothing."""
        self._started = 0.0
        self._runs_work = request.repeatable is None and repeatable and not self._state.safe
        self._delivery = request.delivery or Delivery()
        self._delivered_before = self._delivery.sent
        self._asking = False
        """True while the request is a question to the server whether it keeps the contract."""
        self._failure: ClaudeAPIError | None = None
        """Failure of the last attempt."""

    def connecting(self) -> None:
        """Note that the attempt has a connection of its own."""
        self._stale = False

    def sending(self) -> None:
        """Note that something is being sent to the server."""
        self._note_sent(True)

    def not_sent(self) -> None:
        """Note that the start of the request was not sent to its end: without that, the request is none."""
        self._note_sent(False)

    def responded(self) -> None:
        """Note that the head of a response has arrived."""
        self._stale = False

    def next_request(self) -> tuple[HttpRequest, list[tuple[bytes, bytes]], dict[str, float]]:
        """Return the request of the next attempt, its headers and its timeouts (seconds).

        Only these headers have the key, so that no object that a caller may see holds it.
        """
        if not self._config.api_key:
            raise AuthenticationError(
                "A client that was pickled does not carry its API key. Set CLAUDE_API_KEY in the process that uses it."
            )
        self._asking = self._asks_next
        request = self._requests.health(self._request) if self._asking else self._request
        if not self._asking:
            self._state = self._state.started()
        self._sent = False
        self._stale = True
        self._started = time.monotonic()
        headers = request.headers
        server = self._requests.server
        if request.server is server or request.server == server:
            headers = [item for item in headers if item[0] != b"authorization"]
            headers.append((b"authorization", b"Bearer " + self._config.api_key.encode("ascii")))
        if logger.isEnabledFor(logging.DEBUG):
            shown = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
            logger.debug("%s %s: headers %s", request.method, request.path, _redacted(shown))
        # The deadline of the call is kept by its transport.
        timeouts = {"connect": CONNECT_TIMEOUT}
        if request.read_timeout is not None:
            timeouts["read"] = request.read_timeout
        return request, headers, timeouts

    @property
    def upcoming(self) -> tuple[HttpRequest, int]:
        """The next request, and the number of its attempt."""
        asking = self._asks_next
        request = self._requests.health(self._request) if asking else self._request
        return request, self._state.attempts + (not asking)

    @property
    def elapsed(self) -> float:
        """Seconds since the request was started."""
        return time.monotonic() - self._started

    @property
    def _asks_next(self) -> bool:
        return self._runs_work and self._delivery.sent and not self._contract.kept

    def decoder(self, response: HttpResponse) -> BodyDecoder:
        """Return the decoder of the body, with the limit of the client if it is read at once."""
        coding = response.headers.get("content-encoding", "")
        limit = self._config.max_response_bytes if self.needs_body(response) else None
        return BodyDecoder(coding, limit, empty_if_wrong=not response.is_success)

    def needs_body(self, response: HttpResponse) -> bool:
        """Return whether to read the body at once. That of an error always is: it says what went wrong."""
        return self._asking or not (self._request.stream and response.is_success)

    def delay_after(self, outcome: HttpResponse | TransportFailure) -> float | None:
        """Return the seconds to wait before the next request; None if this is the response to the call.

        Raises this library's exception if there is no next request.
        """
        if isinstance(outcome, HttpResponse):
            if self._observe is not None:
                self._observe(outcome.status_code, outcome.headers)
            self._log(outcome.status_code, outcome.headers)
            if not self._contract.kept:
                self._contract.kept = self._is_evidence(outcome)
        if self._asking:
            return self._answered(outcome)
        if isinstance(outcome, Exception):
            return self.failed(outcome)
        if outcome.is_success:
            self._succeeded(outcome)
            return None
        return self._delay(self._refusal(outcome))

    def _succeeded(self, response: HttpResponse) -> None:
        """Log the response that ends the call, and note on it what the call took."""
        response.extensions |= {"attempts": self._state.attempts, "history": self._state.history}
        self._quota.release(self._quota_taken)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("headers %s", _redacted(response.headers.items()))

    def _refusal(self, response: HttpResponse) -> AttemptFailure:
        error = from_response(
            response.status_code,
            response.content,
            request_id=response.headers.get("X-Request-Id"),
            retry_after=parse_retry_after(response.headers.get("Retry-After")),
        )
        should_retry = {"true": True, "false": False}.get(response.headers.get("x-should-retry", "").lower())
        return AttemptFailure(error=error, should_retry=should_retry)

    def failed(self, failure: TransportFailure) -> float:
        """Return the seconds to wait before a retry. Raises this library's exception if there is none."""
        self._log(type(failure).__name__)
        stale = self._is_stale(failure)
        if stale and not self._sent:
            self._state = self._state.unsent()
            return 0.0
        error = translate(failure, self._request.server, overdue=time.monotonic() >= self._request.deadline)
        timed_out = isinstance(failure, httpcore.TimeoutException)
        # A certificate that is not valid now will not be valid in a second.
        should_retry = False if "CERTIFICATE_VERIFY_FAILED" in str(failure) else None
        return self._delay(
            AttemptFailure(error=error, sent=self._sent, stale=stale, timed_out=timed_out, should_retry=should_retry)
        )

    def cancelled(self) -> None:
        """Report what is known of a call whose coroutine is being cancelled."""
        if self._request.on_cancelled is not None:
            self._request.on_cancelled(self.closed())

    def closed(self) -> ClosedError:
        """Return the exception for a call that its token has ended."""
        error = ClosedError(CLOSED_DURING_CALL)
        self._state.closed(sent=self._sent).describe(error)
        return error

    def _is_stale(self, failure: TransportFailure) -> bool:
        """Return whether the server, or something in between, had closed the connection before the request."""
        return self._stale and isinstance(failure, _CONNECTION_LOST)

    def _note_sent(self, sent: bool) -> None:
        if not self._asking:
            self._sent = sent
            self._delivery.sent = sent or self._delivered_before or self._state.may_have_run

    def _delay(self, failure: AttemptFailure) -> float:
        self._state = self._state.after(failure)
        self._note_sent(False)
        time_left = self._request.deadline - time.monotonic()
        step = next_step(self._state, failure, time_left=time_left, random=random.random)  # jitter, not a secret
        if isinstance(step, Raise):
            raise step.error
        self._quota_taken = self._quota.acquire(timed_out=failure.timed_out)
        if not self._quota_taken:
            logger.info("not retrying: the calls of this client have used up their retry quota")
            raise failure.error
        self._failure = failure.error
        logger.info("retrying in %.2f s: %s", step.delay, type(failure.error).__name__)
        return step.delay

    def _answered(self, outcome: HttpResponse | TransportFailure) -> float:
        """Go on with the call if the server keeps the contract, and ask again if it is in trouble."""
        if self._contract.kept:
            return 0.0
        if isinstance(outcome, HttpResponse):
            if outcome.status_code not in _TROUBLE:
                logger.info("not retrying: the server does not say that it keeps the API contract")
                raise self._failure or NotSupportedError(
                    "The call may have reached the server before, and the server does not say that it keeps the API "
                    "contract: it might run the call a second time. Look the task up with list_tasks().",
                    outcome_unknown=True,
                )
            failure = self._refusal(outcome)
        else:
            self._log(type(outcome).__name__)
            error = translate(outcome, self._request.server, overdue=time.monotonic() >= self._request.deadline)
            timed_out = isinstance(outcome, httpcore.TimeoutException)
            failure = AttemptFailure(error=error, sent=False, stale=self._is_stale(outcome), timed_out=timed_out)
        self._state = self._state.started()
        return self._delay(attrs.evolve(failure, sent=False))

    def _is_evidence(self, response: HttpResponse) -> bool:
        if contract_evidence.in_headers(response.headers):
            return True
        if response.is_success and not self._asking and not self._request.path.endswith("/health"):
            return False
        return self.needs_body(response) and contract_evidence.in_body(response.content)

    def _log(self, outcome: int | str, headers: Mapping[str, str] | None = None) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        logger.info(
            "%s %s %s in %.3f s (attempt %d, request %s)",
            self._request.method,
            self._request.path,
            outcome,
            self.elapsed,
            self._state.attempts,
            (headers or {}).get("x-request-id") or "-",
        )


def _redacted(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: "…" if is_secret(name) else value for name, value in headers}
