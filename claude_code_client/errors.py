"""Exceptions of this library.

::

    ClaudeAPIError
    ├── ConfigurationError (ValueError)             the client or a call is set up wrongly; nothing was sent
    ├── APIConnectionError (ConnectionError)        no response: connection refused or lost, DNS or TLS failure
    ├── TimeoutError (builtins.TimeoutError)        408, or the task or the call exceeded its timeout
    │   └── TaskStalledError                        the task had no event for its stall_timeout
    ├── InvalidRequestError (ValueError)            400, 405, 413, 415, 416, 422: the request is invalid
    ├── AuthenticationError                         401, or no API key
    ├── CostExceededError                           402, or a budget: the cost exceeds a limit
    ├── PermissionError (builtins.PermissionError)  403: the key may not do this
    ├── NotFoundError (LookupError)                 404
    ├── ConflictError                               409: the idempotency key belongs to another request
    ├── RateLimitError                              429
    ├── ServerError                                 5xx
    │   ├── NotSupportedError                       501, or no such route: the server lacks the operation
    │   └── OverloadedError                         503, 529
    ├── UnexpectedResponseError                     a response that is not from this API, such as a proxy's page
    ├── StreamInterruptedError (ConnectionError)    a stream ended early and could not be resumed
    ├── ClosedError                                 the stream or the client was closed during the call
    └── ArtifactError                               an artifact was not stored; an existing file is unchanged
        ├── ArtifactMismatchError                   the received bytes differ from what the task wrote
        ├── ArtifactTooLargeError                   the artifact is larger than max_bytes
        ├── UnsafePathError (ValueError)            the artifact's path leads out of the directory
        └── StorageError (OSError)                  the file system refused: disk full, read-only, no permission

The ``error.type`` of a response decides before its status: type ``cost_exceeded_error`` raises CostExceededError with
any status. Further 4xx statuses raise InvalidRequestError.

``TimeoutError`` and ``PermissionError`` are subclasses of Python's own exceptions, so that ``except TimeoutError:``
works without an import. Every exception can be pickled, copied and deep-copied, and none contains the API key or the
prompt.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .models import AgenticTaskResponse

__all__ = [
    "APIConnectionError",
    "ArtifactError",
    "ArtifactMismatchError",
    "ArtifactTooLargeError",
    "AuthenticationError",
    "ClaudeAPIError",
    "ClosedError",
    "ConfigurationError",
    "ConflictError",
    "CostExceededError",
    "InvalidRequestError",
    "NotFoundError",
    "NotSupportedError",
    "OverloadedError",
    "PermissionError",
    "RateLimitError",
    "ServerError",
    "StorageError",
    "StreamInterruptedError",
    "TaskStalledError",
    "TimeoutError",
    "UnexpectedResponseError",
    "UnsafePathError",
]


class ClaudeAPIError(Exception):
    """Base class of this library's exceptions.

    Attributes:
        message (str): Description of the problem, and of what to do next.
        status_code (int | None): HTTP status of the response; None without a response.
        error_type (str | None): ``error.type`` of the API, such as ``rate_limit_error``.
        param (str | None): Name of the invalid parameter or field.
        request_id (str | None): ``X-Request-Id`` of the response, for reports to the server's operator.
        body (Any): Body of the response, shortened: decoded JSON, or else text; None without a body.
        task_id (str | None): ID of the task, if known.
        last_event_id (str | None): ID of the last event received from the task, for
            ``stream_events(task_id, after=…)``.
        retry_after (float | None): Seconds that the server requests to wait before the next attempt.
        estimated_cost (float | None): Expected cost of the refused call in USD, if known.
        task (AgenticTaskResponse | None): Task as last reported by the server, if known.
        attempts (int): HTTP attempts of the failed request; 0 if nothing was sent, or if the task itself failed.
        history (tuple[str, ...]): Outcome of each attempt, oldest first.
        outcome_unknown (bool): True if the server may have run the call, or may still be running it.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        error_type: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        body: Any = None,
        task_id: str | None = None,
        last_event_id: str | None = None,
        retry_after: float | None = None,
        estimated_cost: float | None = None,
        task: AgenticTaskResponse | None = None,
        attempts: int = 0,
        history: tuple[str, ...] = (),
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.error_type = error_type
        self.param = param
        self.request_id = request_id
        self.body = body
        self.task_id = task_id
        self.last_event_id = last_event_id
        self.retry_after = retry_after
        self.estimated_cost = estimated_cost
        self.task = task
        self.attempts = attempts
        self.history = history
        self.outcome_unknown = outcome_unknown

    def __str__(self) -> str:
        facts = [f"{name} {value}" for name, value in self._facts() if value not in (None, "")]
        return f"{self.message} ({', '.join(facts)})" if facts else self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def _facts(self) -> list[tuple[str, object]]:
        return [
            ("status", self.status_code),
            ("type", self.error_type),
            ("task", self.task_id),
            ("last event", self.last_event_id),
            ("request", self.request_id),
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.message), self.__dict__.copy()


_E = TypeVar("_E", bound=ClaudeAPIError)


def _restore(cls: type[_E], message: str) -> _E:
    return cls(message)


class ConfigurationError(ClaudeAPIError, ValueError):
    """Invalid setting of the client or of a call; nothing was sent."""


class APIConnectionError(ClaudeAPIError, builtins.ConnectionError):
    """No response: connection refused or lost, or DNS or TLS failure."""


class TimeoutError(ClaudeAPIError, builtins.TimeoutError):
    """Timeout of the task, or deadline of the call, exceeded. ``task`` is the task as last reported."""


class InvalidRequestError(ClaudeAPIError, ValueError):
    """Invalid request; ``param`` names the parameter. Raised before sending, or by the server."""


class AuthenticationError(ClaudeAPIError):
    """Missing API key, or a key that the server does not accept."""


class CostExceededError(ClaudeAPIError):
    """Call refused, or task ended, because of its cost. ``estimated_cost`` is in USD, if known.

    If the budget of the key does not pay for the call, ``retry_after`` is the time until that budget starts anew.
    """


class PermissionError(ClaudeAPIError, builtins.PermissionError):
    """Tool, agent, skill or model that the key may not use, or limit that it may not request, named in the message."""


class NotFoundError(ClaudeAPIError, LookupError):
    """Unknown task, artifact or path."""


class ConflictError(ClaudeAPIError):
    """``Idempotency-Key`` that was used before with a different request."""


class RateLimitError(ClaudeAPIError):
    """Too many calls. ``retry_after`` is the seconds to wait, if known."""


class ServerError(ClaudeAPIError):
    """Failure of the server."""


class NotSupportedError(ServerError):
    """Operation that the server does not support."""


class OverloadedError(ServerError):
    """Overload of the server, or of the model behind it."""


class UnexpectedResponseError(ClaudeAPIError):
    """Response that is not from this API: a proxy's HTML, broken JSON, missing fields. ``body`` is its start."""


class StreamInterruptedError(ClaudeAPIError, builtins.ConnectionError):
    """Stream that ended before its terminal event and could not be resumed.

    The task may still be running: resume with ``stream_events(error.task_id, after=error.last_event_id)``.
    """


class TaskStalledError(TimeoutError):
    """Task without an event for its ``stall_timeout``, over a working connection. The task was cancelled."""


class ClosedError(ClaudeAPIError):
    """Stream or client closed during the call. A task that the call waited for was cancelled."""


class ArtifactError(ClaudeAPIError):
    """Artifact that was not stored. A file that existed at its path is unchanged."""


class ArtifactMismatchError(ArtifactError):
    """Received bytes that differ in length or SHA-256 from the file that the task wrote."""


class ArtifactTooLargeError(ArtifactError):
    """Artifact larger than ``max_bytes``."""


class UnsafePathError(ArtifactError, ValueError):
    """Artifact path that leads out of the directory: absolute, with ``..`` or through a symbolic link."""


class StorageError(ArtifactError, OSError):
    """Refusal of the file system: disk full, read-only, no permission. ``errno`` is the reason."""

    def __reduce__(self) -> tuple[Any, ...]:
        # OSError keeps errno and strerror outside of __dict__.
        restore, arguments, state = super().__reduce__()
        return restore, arguments, {**state, "errno": self.errno, "strerror": self.strerror}
