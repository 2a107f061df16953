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
    │   ├── NotSupportedError                       501: the server does not support the operation
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
        message (str): What happened, and what to do next.
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
        outcome_unknown (bool): Whether the server may have run the call, or may still be running it.
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
    """The client or a call is set up in a way that cannot work. Nothing was sent."""


class APIConnectionError(ClaudeAPIError, builtins.ConnectionError):
    """There was no response: the connection was refused or lost, or DNS or TLS failed."""


class TimeoutError(ClaudeAPIError, builtins.TimeoutError):
    """The task exceeded its timeout, or the call its deadline. ``task`` is the task as last reported."""


class InvalidRequestError(ClaudeAPIError, ValueError):
    """The request is invalid; ``param`` names the parameter. Raised before sending, or by the server."""


class AuthenticationError(ClaudeAPIError):
    """There is no API key, or the server does not accept it."""


class CostExceededError(ClaudeAPIError):
    """A budget refused the call or ended the task. ``estimated_cost`` is in USD, if known."""


class PermissionError(ClaudeAPIError, builtins.PermissionError):
    """The key may not do this. The message names the tool, agent, skill or model."""


class NotFoundError(ClaudeAPIError, LookupError):
    """There is no such task, artifact or path."""


class ConflictError(ClaudeAPIError):
    """The ``Idempotency-Key`` was used before, with a different request."""


class RateLimitError(ClaudeAPIError):
    """There were too many calls. ``retry_after`` is the seconds to wait, if known."""


class ServerError(ClaudeAPIError):
    """The server failed."""


class NotSupportedError(ServerError):
    """The server does not support the operation."""


class OverloadedError(ServerError):
    """The server, or the model behind it, is overloaded."""


class UnexpectedResponseError(ClaudeAPIError):
    """The response is not from this API: a proxy's HTML, broken JSON, missing fields. ``body`` is its start."""


class StreamInterruptedError(ClaudeAPIError, builtins.ConnectionError):
    """A stream ended before its terminal event, and reconnecting failed.

    The task may still be running: resume with ``stream_events(error.task_id, after=error.last_event_id)``.
    """


class TaskStalledError(TimeoutError):
    """The task had no event for its ``stall_timeout``, over a working connection. It was cancelled."""


class ClosedError(ClaudeAPIError):
    """The stream or the client was closed during the call. A task that the call waited for was cancelled."""


class ArtifactError(ClaudeAPIError):
    """An artifact was not stored. A file that existed at its path is unchanged."""


class ArtifactMismatchError(ArtifactError):
    """The received bytes differ in length or SHA-256 from the file that the task wrote."""


class ArtifactTooLargeError(ArtifactError):
    """The artifact is larger than ``max_bytes``."""


class UnsafePathError(ArtifactError, ValueError):
    """The artifact's path leads out of the directory: it is absolute, has ``..`` or crosses a symbolic link."""


class StorageError(ArtifactError, OSError):
    """The file system refused the artifact: disk full, read-only, no permission. ``errno`` is the reason."""

    def __reduce__(self) -> tuple[Any, ...]:
        # OSError keeps errno and strerror outside of __dict__.
        restore, arguments, state = super().__reduce__()
        return restore, arguments, {**state, "errno": self.errno, "strerror": self.strerror}
