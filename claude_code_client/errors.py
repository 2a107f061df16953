"""What can go wrong, as exceptions.

::

    ClaudeAPIError
    ├── ConfigurationError (ValueError)          the client was set up wrongly; nothing was sent
    ├── APIConnectionError (ConnectionError)     no answer: refused, reset, DNS, TLS
    ├── TimeoutError (builtins.TimeoutError)     the task, or the call, ran out of time
    │   └── TaskStalledError                     no event of the task came for its stall_timeout
    ├── InvalidRequestError (ValueError)         400, 405, 413, 416, 422: the request is wrong
    ├── AuthenticationError                      401, or no key at all
    ├── CostExceededError                        402, or type cost_exceeded_error: a budget does not allow it
    ├── PermissionError (builtins.PermissionError)  403
    ├── NotFoundError (LookupError)              404
    ├── ConflictError                            409
    ├── RateLimitError                           429
    ├── ServerError                              5xx
    │   ├── NotSupportedError                    501: this server does not offer the operation
    │   └── OverloadedError                      503, 529
    ├── UnexpectedResponseError                  an answer that is not of this API, such as a proxy's page
    ├── StreamInterruptedError (ConnectionError) a stream ended without its terminal event, and could not go on
    ├── ClosedError                              the stream, or the client, was closed while the call waited
    └── ArtifactError                            an artifact was not stored; what was at the target is as it was
        ├── ArtifactMismatchError                its bytes are not those that the task made
        ├── ArtifactTooLargeError                it is larger than max_bytes
        ├── UnsafePathError (ValueError)         its path leads out of the target folder
        └── StorageError (OSError)               the disk did not take it: full, read-only, no permission

``TimeoutError`` and ``PermissionError`` are subclasses of Python's own, so that ``except TimeoutError:`` works
without importing them. Every exception can be pickled, copied and deep-copied; none carries the key or the prompt.
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
    """Base of all exceptions of this library.

    Attributes:
        message (str): What happened, and what to do next.
        status_code (int | None): The HTTP status; None where no answer came.
        error_type (str | None): The API's ``error.type``, as ``rate_limit_error``.
        param (str | None): The field or parameter that is meant.
        request_id (str | None): ``X-Request-Id`` of the answer; quote it in a report.
        body (Any): What was received: the decoded JSON, else text (both shortened), else None.
        task_id (str | None): The task in question, where known.
        last_event_id (str | None): The last of the task's events that came, for ``stream_events(task_id, after=…)``.
        retry_after (float | None): Seconds that the server asks to wait.
        estimated_cost (float | None): USD; what it would have cost, where known.
        task (AgenticTaskResponse | None): The task as far as it came, where known.
        attempts (int): HTTP attempts of the request that failed; 0 where none did: nothing was sent, or the task itself
            ended so.
        history (tuple[str, ...]): What each attempt met, the last one included.
        outcome_unknown (bool): The server may have run the call nonetheless, or still be running it.
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
    """The client was set up in a way that cannot work. Nothing was sent."""


class APIConnectionError(ClaudeAPIError, builtins.ConnectionError):
    """No answer came: the connection was refused, reset or could not be made secure."""


class TimeoutError(ClaudeAPIError, builtins.TimeoutError):
    """The task ran past its timeout, or the call past its deadline. ``task`` is what there is of it."""


class InvalidRequestError(ClaudeAPIError, ValueError):
    """The request is wrong; ``param`` names the field. Found here before sending, or by the server."""


class AuthenticationError(ClaudeAPIError):
    """There is no key, or the server does not accept it."""


class CostExceededError(ClaudeAPIError):
    """A budget does not allow it, or ended the task: ``estimated_cost`` is USD where known."""


class PermissionError(ClaudeAPIError, builtins.PermissionError):
    """The key may not do this; the message names the tool, agent, skill or model."""


class NotFoundError(ClaudeAPIError, LookupError):
    """There is no such task, artifact or path."""


class ConflictError(ClaudeAPIError):
    """The ``Idempotency-Key`` was used before with another body."""


class RateLimitError(ClaudeAPIError):
    """Too many calls; ``retry_after`` says how many seconds to wait, where known."""


class ServerError(ClaudeAPIError):
    """The server failed."""


class NotSupportedError(ServerError):
    """This server does not offer the operation."""


class OverloadedError(ServerError):
    """The server, or the model behind it, is overloaded."""


class UnexpectedResponseError(ClaudeAPIError):
    """The answer is not one of this API: HTML of a proxy, broken JSON, missing fields. ``body`` has its start."""


class StreamInterruptedError(ClaudeAPIError, builtins.ConnectionError):
    """A stream ended before its terminal event, and reconnecting did not help.

    A task may still run: ``stream_events(error.task_id, after=error.last_event_id)`` goes on where it ended.
    """


class TaskStalledError(TimeoutError):
    """No event of the task came for its ``stall_timeout``, although the connection lived. The task was cancelled."""


class ClosedError(ClaudeAPIError):
    """The stream, or the client, was closed elsewhere while the call waited. A task that it waited for is cancelled."""


class ArtifactError(ClaudeAPIError):
    """An artifact was not stored; what was at the target is as it was."""


class ArtifactMismatchError(ArtifactError):
    """The bytes that came are not those that the task made: another length, or another SHA-256."""


class ArtifactTooLargeError(ArtifactError):
    """The artifact is larger than ``max_bytes``."""


class UnsafePathError(ArtifactError, ValueError):
    """The artifact's path leads out of the target folder: absolute, with ``..``, or through a symbolic link."""


class StorageError(ArtifactError, OSError):
    """The disk did not take the artifact: it is full or read-only, or a permission is missing. ``errno`` says which."""

    def __reduce__(self) -> tuple[Any, ...]:
        # OSError keeps these two outside of the __dict__.
        make, arguments, state = super().__reduce__()
        return make, arguments, {**state, "errno": self.errno, "strerror": self.strerror}
