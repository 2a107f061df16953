"""One call and its attempts: what to send, what the outcome means, whether to go on. ClientState by both transports."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Any, Final

import attrs
import httpx

from .._config import Config, is_secret
from .._operations.effects import Head, Open
from .._policy.retry import (
    Attempt,
    Failure,
    is_repeatable,
    is_safe,
    may_have_run,
    parse_retry_after,
    summarize,
    wait_before_retry,
)
from .._policy.retry_quota import RetryQuota
from .._wire.error_bodies import from_response
from ..errors import (
    APIConnectionError,
    AuthenticationError,
    ClaudeAPIError,
    ClosedError,
    ConfigurationError,
    TimeoutError,
    UnexpectedResponseError,
)
from .cancellation import CLOSED_MEANWHILE, CancelToken

logger = logging.getLogger("claude_code_client")

CONNECT_TIMEOUT: Final = 10.0
"""Seconds; a server that lives accepts a connection sooner, however long its answer takes."""
_EXTENSION: Final = "claude_code_client"


@attrs.frozen(kw_only=True)
class RequestContext:
    """What a operation tells the transport about one call; it travels in the request's extensions."""

    deadline: float
    repeatable: bool | None = None
    stream: bool = False
    read_timeout: float | None = None
    interruption: CancelToken | None = None
    """What ends the call from another thread; None for calls that end in other ways."""
    on_cancelled: Callable[[ClosedError], object] | None = None
    """Gets what a coroutine that is cancelled may raise instead."""

    def as_extensions(self) -> dict[str, Any]:
        return {_EXTENSION: self}


class Call:
    """The attempts of one call. Decides; the transport that holds it does the I/O."""

    def __init__(self, request: httpx.Request, config: Config, quota: RetryQuota) -> None:
        self._request = request
        self._config = config
        self._quota = quota
        self._taken = 0
        self._history: list[str] = []
        self._may_have_run = False
        self._options: RequestContext = request.extensions.get(_EXTENSION) or RequestContext(
            deadline=time.monotonic() + config.timeout
        )
        self._number = 0
        self._sent = False
        self._started = 0.0

    def trace(self, event: str, _: Any) -> None:
        """Called by httpcore with what it does (its "trace" extension): notes whether anything was sent."""
        self._sent = self._sent or event.endswith("send_request_headers.started")

    async def atrace(self, event: str, info: Any) -> None:
        """The same, as an asynchronous connection calls it."""
        self.trace(event, info)

    def next_request(self, trace: Callable[[str, Any], Any]) -> httpx.Request:
        """The request to send now. The key is added here, so that no object a caller can hold has it."""
        if not self._config.api_key:
            raise AuthenticationError(
                "A client that was pickled does not carry its API key. Set CLAUDE_API_KEY in the process that uses it."
            )
        self._number += 1
        self._sent = False
        self._started = time.monotonic()
        left = max(self._options.deadline - self._started, 0.001)
        headers = self._request.headers.copy()
        if _origin(self._request.url) == _origin(httpx.URL(self._config.base_url)):
            headers["Authorization"] = f"Bearer {self._config.api_key}"
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s %s: headers %s", self._request.method, self._request.url.path, _redacted(headers))
        timeout = {
            "connect": min(CONNECT_TIMEOUT, left),
            "pool": left,
            "write": left,
            "read": min(left, self._options.read_timeout or left),
        }
        return httpx.Request(
            self._request.method,
            self._request.url,
            headers=headers,
            stream=self._request.stream,
            extensions={**self._request.extensions, "timeout": timeout, "trace": trace},
        )

    @property
    def deadline(self) -> float:
        """On the monotonic clock, in seconds."""
        return self._options.deadline

    @property
    def interruption(self) -> CancelToken | None:
        """What ends it from another thread."""
        return self._options.interruption

    def cancelled(self) -> None:
        """The coroutine that makes the call is being cancelled."""
        if self._options.on_cancelled is not None:
            self._options.on_cancelled(self.closed())

    def closed(self) -> ClosedError:
        """The exception for a call that was ended from elsewhere."""
        may_have_run = self._may_have_run or (self._sent and not is_safe(self._request.method))
        return ClosedError(
            CLOSED_MEANWHILE,
            attempts=self._number,
            history=(*self._history, ClosedError.__name__),
            outcome_unknown=may_have_run,
        )

    def wants_body(self, response: httpx.Response) -> bool:
        """Whether to read the whole body now: that of an error always is, to tell what it says."""
        return not (self._options.stream and response.is_success)

    def succeeded(self, response: httpx.Response) -> None:
        """Log the answer that ends this call, and note how many attempts it took."""
        response.extensions |= {"attempts": self._number, "history": tuple(self._history)}
        self._quota.release(self._taken)
        self._log(str(response.status_code), response.headers.get("X-Request-Id"))
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("headers %s", _redacted(response.headers))

    def after_refusal(self, response: httpx.Response) -> float:
        """Seconds to wait before the next attempt. Raises the answer's exception if there is to be none."""
        self._log(str(response.status_code), response.headers.get("X-Request-Id"))
        error = from_response(
            response.status_code,
            response.content,
            request_id=response.headers.get("X-Request-Id"),
            retry_after=parse_retry_after(response.headers.get("Retry-After")),
        )
        should_retry = {"true": True, "false": False}.get(response.headers.get("x-should-retry", "").lower())
        return self._wait_or_raise(Failure(error=error, should_retry=should_retry))

    def after_failure(self, problem: httpx.HTTPError | httpx.StreamError | httpx.InvalidURL) -> float:
        """Seconds to wait before the next attempt. Raises a typed exception if there is to be none."""
        self._log(type(problem).__name__, None)
        error = translate(problem, self._request.url, overdue=time.monotonic() >= self._options.deadline)
        return self._wait_or_raise(
            Failure(
                error=error,
                sent=self._sent,
                timed_out=isinstance(problem, httpx.TimeoutException),
            )
        )

    def _wait_or_raise(self, failure: Failure) -> float:
        error = failure.error
        self._history.append(summarize(failure))
        self._may_have_run = self._may_have_run or (may_have_run(failure) and not is_safe(self._request.method))
        error.attempts, error.history = self._number, tuple(self._history)
        error.outcome_unknown = self._may_have_run
        self._sent = False
        repeatable = self._options.repeatable
        if repeatable is None:
            repeatable = is_repeatable(self._request.method, self._request.headers)
        attempt = Attempt(
            number=self._number,
            max_retries=self._config.max_retries,
            # A body that is read from an iterator is gone after the first attempt.
            repeatable=repeatable and isinstance(self._request.stream, httpx.ByteStream),
            time_left=self._options.deadline - time.monotonic(),
        )
        wait = None
        if not isinstance(error, ConfigurationError | UnexpectedResponseError):
            wait = wait_before_retry(failure, attempt, random.random)  # jitter, not a secret
        if wait is not None:
            self._taken = self._quota.acquire(timed_out=failure.timed_out)
            if not self._taken:
                logger.info("not retrying: this client's calls have used up their quota of retries")
        if wait is None or not self._taken:
            raise error
        logger.info("retrying in %.2f s: %s", wait, type(error).__name__)
        return wait

    def _log(self, outcome: str, request_id: str | None) -> None:
        logger.info(
            "%s %s %s in %.3f s (attempt %d, request %s)",
            self._request.method,
            self._request.url.path,
            outcome,
            time.monotonic() - self._started,
            self._number,
            request_id or "-",
        )


def translate(
    problem: httpx.HTTPError | httpx.StreamError | httpx.InvalidURL, url: httpx.URL, *, overdue: bool = False
) -> ClaudeAPIError:
    """httpx's exception as one of this library; httpx's own is not kept, since its frames hold the key."""
    server = _origin(url)
    reason = str(problem) or type(problem).__name__
    match problem:
        case httpx.ConnectError():
            return APIConnectionError(f"Cannot connect to {server}: {reason}. {_CHECK_SERVER}")
        case httpx.TimeoutException() if overdue:
            return TimeoutError(f"The call to {server} did not end within its timeout. Give it a larger timeout.")
        case httpx.ConnectTimeout():
            return APIConnectionError(f"{server} accepted no connection within {CONNECT_TIMEOUT:g} s. {_CHECK_SERVER}")
        case httpx.TimeoutException():
            return APIConnectionError(f"{server} sent nothing for too long ({type(problem).__name__}). {_CHECK_SERVER}")
        case httpx.LocalProtocolError() | httpx.UnsupportedProtocol() | httpx.InvalidURL():
            return ConfigurationError(f"The request to {server} cannot be sent: {reason}.")
        case httpx.DecodingError() | httpx.TooManyRedirects():
            return UnexpectedResponseError(f"The answer of {server} cannot be read: {reason}.")
        case _:
            return APIConnectionError(
                f"The connection to {server} was cut before the answer was complete: {reason}. {_CHECK_SERVER}"
            )


def cut(problem: httpx.HTTPError | httpx.StreamError, response: httpx.Response, *, overdue: bool) -> ClaudeAPIError:
    """The exception for a body that broke off while it was read."""
    error = translate(problem, response.url, overdue=overdue)
    error.attempts = response.extensions.get("attempts", 1)
    error.history = (
        *response.extensions.get("history", ()),
        f"{response.status_code}, then {type(error).__name__}",
    )
    error.outcome_unknown = not is_safe(response.request.method)
    return error


def opening(build: Callable[..., httpx.Request], command: Open, interruption: CancelToken | None) -> httpx.Request:
    """The request of an ``Open``, built by an httpx client's ``build_request``."""
    options = RequestContext(
        deadline=command.deadline, stream=True, read_timeout=command.read_timeout, interruption=interruption
    )
    request = build(**command.request, extensions=options.as_extensions())
    # Compressed, a stream would wait in a proxy until a block is full, and a part of a file could not be asked for.
    request.headers.update({"Accept": command.accept, "Accept-Encoding": "identity"})
    return request


def head(response: httpx.Response) -> Head:
    """What a operation gets to know of a response whose body it reads."""
    return Head(
        status_code=response.status_code,
        headers={name.lower(): value for name, value in response.headers.items()},
        attempts=response.extensions["attempts"],
        history=response.extensions["history"],
    )


_CHECK_SERVER: Final = "Check that the server runs, and base_url or CLAUDE_BASE_URL."


def _origin(url: httpx.URL) -> str:
    port = f":{url.port}" if url.port else ""
    return f"{url.scheme}://{url.host}{port}"


def _redacted(headers: httpx.Headers) -> dict[str, str]:
    return {name: "…" if is_secret(name) else value for name, value in headers.items()}
