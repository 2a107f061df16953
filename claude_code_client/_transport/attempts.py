"""Attempts of one HTTP call: the request of each, its log lines, and what the retry policy has to know of it."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Any, Final

import attrs
import httpcore
import httpx

from .._config import Config, is_secret
from .._operations.client_state import ClientState
from .._operations.effects import Delivery
from .._policy.retry import AttemptFailure, Raise, RetryState, is_repeatable, is_safe, next_step, parse_retry_after
from .._wire import contract_evidence
from .._wire.error_bodies import from_response
from ..errors import AuthenticationError, ClaudeAPIError, ClosedError, NotSupportedError
from .cancellation import CLOSED_DURING_CALL, CancelToken
from .content_decoding import decoded
from .httpx_errors import CONNECT_TIMEOUT, TransportFailure, origin, translate
from .request_context import RequestContext

_TROUBLE: Final = frozenset({429, 502, 503, 504})
"""Statuses of a server, or a proxy, that may answer later."""

logger = logging.getLogger("claude_code_client")


class CallAttempts:
    """The attempts of one call. It builds requests, measures and logs; the policy decides, a transport does the I/O."""

    def __init__(self, request: httpx.Request, config: Config, state: ClientState) -> None:
        self._request = request
        self._config = config
        self._quota = state.quota
        self._contract = state.contract
        self._quota_taken = 0
        self._context = RequestContext.of(request, config.timeout)
        repeatable = self._context.repeatable
        if repeatable is None:
            repeatable = is_repeatable(request.method, request.headers)
        self._state = RetryState(
            max_retries=config.max_retries,
            # A body that is read from an iterator is gone after the first attempt.
            repeatable=repeatable and isinstance(request.stream, httpx.ByteStream),
            safe=is_safe(request.method),
        )
        self._sent = False
        self._stale = False
        """True as long as the attempt uses a connection from before on which it has received nothing."""
        self._started = 0.0
        self._runs_work = self._context.repeatable is None and repeatable and not self._state.safe
        self._delivery = self._context.delivery or Delivery()
        self._delivered_before = self._delivery.sent
        self._asking = False
        """True while the request is a question to the server whether it keeps the contract."""
        self._failure: ClaudeAPIError = NotSupportedError(
            "The call may have reached the server before, and the server does not say that it keeps the API contract: "
            "it might run the call a second time. Look the task up with list_tasks().",
            outcome_unknown=True,
        )
        """What to raise instead of a repetition."""

    @property
    def deadline(self) -> float:
        """Seconds on the monotonic clock."""
        return self._context.deadline

    @property
    def token(self) -> CancelToken | None:
        """The token that ends the call from another thread, if its driver has one."""
        return self._context.token

    def trace(self, event: str, info: Any) -> None:
        """Note what was sent and received. httpcore calls this with each of its steps (extension "trace")."""
        if event.endswith(("connect_tcp.started", "receive_response_headers.complete")):
            self._stale = False
        elif event.endswith("send_request_headers.started"):
            self._note_sent(True)
        elif event.endswith("send_request_headers.failed") and isinstance(info["exception"], httpcore.WriteError):
            # Without the end of its head, a request is none.
            self._note_sent(False)

    async def atrace(self, event: str, info: Any) -> None:
        """Do the same as ``trace``, for an asynchronous connection."""
        self.trace(event, info)

    def next_request(self, trace: Callable[[str, Any], Any]) -> httpx.Request:
        """Return the request of the next attempt. Only here it gets the key, so that no caller's object holds it."""
        if not self._config.api_key:
            raise AuthenticationError(
                "A client that was pickled does not carry its API key. Set CLAUDE_API_KEY in the process that uses it."
            )
        self._asking = self._runs_work and self._delivery.sent and not self._contract.kept
        request = self._health_request() if self._asking else self._request
        if not self._asking:
            self._state = self._state.started()
        self._sent = False
        self._stale = True
        self._started = time.monotonic()
        headers = request.headers.copy()
        if origin(request.url) == origin(httpx.URL(self._config.base_url)):
            headers["Authorization"] = f"Bearer {self._config.api_key}"
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s %s: headers %s", request.method, request.url.path, _redacted(headers))
        left = max(self._context.deadline - self._started, 0.001)
        timeout = {
            "connect": min(CONNECT_TIMEOUT, left),
            "pool": left,
            "write": left,
            "read": min(left, self._context.read_timeout or left),
        }
        return httpx.Request(
            request.method,
            request.url,
            headers=headers,
            stream=request.stream,
            extensions={**self._request.extensions, "timeout": timeout, "trace": trace},
        )

    def decoded(self, response: httpx.Response) -> httpx.Response:
        """Return the response, to be decoded as it is read, within the limit of the client."""
        return decoded(response, self._config.max_response_bytes if self.needs_body(response) else None)

    def needs_body(self, response: httpx.Response) -> bool:
        """Return whether to read the body at once. That of an error always is: it says what went wrong."""
        return self._asking or not (self._context.stream and response.is_success)

    def delay_after(self, outcome: httpx.Response | TransportFailure) -> float | None:
        """Return the seconds to wait before the next request; None if this is the response to the call.

        Raises this library's exception if there is no next request.
        """
        if isinstance(outcome, httpx.Response):
            self._log(str(outcome.status_code), outcome.headers.get("X-Request-Id"))
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

    def _succeeded(self, response: httpx.Response) -> None:
        """Log the response that ends the call, and note on it what the call took."""
        response.extensions |= {"attempts": self._state.attempts, "history": self._state.history}
        self._quota.release(self._quota_taken)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("headers %s", _redacted(response.headers))

    def _refusal(self, response: httpx.Response) -> AttemptFailure:
        error = from_response(
            response.status_code,
            response.content,
            request_id=response.headers.get("X-Request-Id"),
            retry_after=parse_retry_after(response.headers.get("Retry-After")),
        )
        should_retry = {"true": True, "false": False}.get(response.headers.get("x-should-retry", "").lower())
        return AttemptFailure(error=error, should_retry=should_retry)

    def failed(self, failure: TransportFailure | httpx.InvalidURL) -> float:
        """Return the seconds to wait before a retry. Raises this library's exception if there is none."""
        self._log(type(failure).__name__, None)
        stale = self._is_stale(failure)
        if stale and not self._sent:
            self._state = self._state.unsent()
            return 0.0
        error = translate(failure, self._request.url, overdue=time.monotonic() >= self._context.deadline)
        timed_out = isinstance(failure, httpx.TimeoutException)
        # A certificate that is not valid now will not be valid in a second.
        should_retry = False if "CERTIFICATE_VERIFY_FAILED" in str(failure) else None
        return self._delay(
            AttemptFailure(error=error, sent=self._sent, stale=stale, timed_out=timed_out, should_retry=should_retry)
        )

    def cancelled(self) -> None:
        """Report what is known of a call whose coroutine is being cancelled."""
        if self._context.on_cancelled is not None:
            self._context.on_cancelled(self.closed())

    def closed(self) -> ClosedError:
        """Return the exception for a call that its token has ended."""
        error = ClosedError(CLOSED_DURING_CALL)
        self._state.closed(sent=self._sent).describe(error)
        return error

    def _is_stale(self, failure: TransportFailure | httpx.InvalidURL) -> bool:
        """Return whether the server, or something in between, had closed the connection before the request."""
        return self._stale and isinstance(failure, httpx.NetworkError | httpx.RemoteProtocolError)

    def _note_sent(self, sent: bool) -> None:
        if not self._asking:
            self._sent = sent
            self._delivery.sent = sent or self._delivered_before or self._state.may_have_run

    def _delay(self, failure: AttemptFailure) -> float:
        self._state = self._state.after(failure)
        self._note_sent(False)
        time_left = self._context.deadline - time.monotonic()
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

    def _health_request(self) -> httpx.Request:
        headers = self._request.headers.copy()
        for name in ("accept", "content-length", "content-type", "idempotency-key", "prefer", "transfer-encoding"):
            headers.pop(name, None)
        return httpx.Request("GET", f"{self._config.base_url.rstrip('/')}/health", headers=headers)

    def _answered(self, outcome: httpx.Response | TransportFailure) -> float:
        """Go on with the call if the server keeps the contract, and ask again if it is in trouble."""
        if self._contract.kept:
            return 0.0
        if isinstance(outcome, httpx.Response):
            if outcome.status_code not in _TROUBLE:
                logger.info("not retrying: the server does not say that it keeps the API contract")
                raise self._failure
            failure = self._refusal(outcome)
        else:
            self._log(type(outcome).__name__, None)
            error = translate(outcome, self._request.url, overdue=time.monotonic() >= self._context.deadline)
            timed_out = isinstance(outcome, httpx.TimeoutException)
            failure = AttemptFailure(error=error, sent=False, stale=self._is_stale(outcome), timed_out=timed_out)
        self._state = self._state.started()
        return self._delay(attrs.evolve(failure, sent=False))

    def _is_evidence(self, response: httpx.Response) -> bool:
        if contract_evidence.in_headers(response.headers):
            return True
        is_health = self._asking or self._request.url.path.endswith("/health")
        return (
            (is_health or not response.is_success)
            and self.needs_body(response)
            and contract_evidence.in_body(response.content)
        )

    def _log(self, outcome: str, request_id: str | None) -> None:
        logger.info(
            "%s %s %s in %.3f s (attempt %d, request %s)",
            self._request.method,
            self._request.url.path,
            outcome,
            time.monotonic() - self._started,
            self._state.attempts,
            request_id or "-",
        )


def _redacted(headers: httpx.Headers) -> dict[str, str]:
    return {name: "…" if is_secret(name) else value for name, value in headers.items()}
