"""Effects: the steps of an operation that need I/O, as values.

An operation is a generator. It yields effects, receives their outcomes and returns its result. Each operation is
written once; a synchronous and an asynchronous driver in ``_transport`` carry it out, as in psycopg 3, whose
``generators.py`` holds what ``waiting.py`` drives. Effects are never compared: attrs would take as long to write their
``__eq__`` as for the rest of these classes, in every program that makes a client.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, TypeVar

import attrs

Request = dict[str, Any]
"""Keyword arguments of an httpx request, as a generated ``_get_kwargs`` returns them."""


@attrs.define(eq=False)
class Delivery:
    """Mutable note of whether a call that runs work may have reached the server, over all requests that carry it."""

    sent: bool = False
    """True from the first byte of a request on; False again if the server has clearly refused the call.

    A call that may have been delivered is sent again only to a server that has shown that it keeps the contract.
    """


@attrs.frozen(kw_only=True, eq=False)
class Send:
    """Send a request and read the whole response. Outcome: the response, a success."""

    request: Request = attrs.field(repr=False)
    deadline: float
    """Seconds on the monotonic clock."""
    repeatable: bool | None = None
    """True if the server may receive the request twice without harm; None to decide by method and Idempotency-Key."""
    delivery: Delivery | None = None
    """Delivery of a call that runs work."""


@attrs.frozen(kw_only=True, eq=False)
class Open:
    """Send a request and leave the body of its response unread. Outcome: the ``Head``.

    It closes the response that was open before.
    """

    request: Request = attrs.field(repr=False)
    deadline: float
    """Seconds on the monotonic clock; it also applies to reading the body."""
    read_timeout: float
    """Seconds without a byte after which the connection counts as dead."""
    accept: str = "text/event-stream"
    """Media type to request."""
    delivery: Delivery | None = None
    """Delivery of a call that runs work."""


@attrs.frozen(kw_only=True, eq=False)
class Head:
    """Status and headers of an open response, a success."""

    status_code: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    """Names are in lower case."""
    attempts: int = 1
    """HTTP attempts that it took."""
    history: tuple[str, ...] = ()
    """Outcome of each failed attempt."""


@attrs.frozen(kw_only=True, eq=False)
class Read:
    """Read from the open response. Outcome: the next bytes, or None at the end of the body.

    Raises APIConnectionError if the connection is cut or dead, TimeoutError if no byte arrives before ``until``.
    """

    until: float
    """Seconds on the monotonic clock. The deadline of the open response applies as well."""


@attrs.frozen(eq=False)
class Sleep:
    """Wait. Outcome: None."""

    seconds: float


@attrs.frozen(eq=False)
class Spawn:
    """Carry out another operation in the background. Outcome: None, at once."""

    operation: Generator[Any, Any, Any] = attrs.field(repr=False)


@attrs.frozen(eq=False)
class RunBlocking:
    """Call a function that blocks for a moment, such as a write to disk. Outcome: its return value."""

    work: Callable[[], Any] = attrs.field(repr=False)


@attrs.define(eq=False)
class Emit:
    """Pass a value to the caller. Outcome: None."""

    value: Any = attrs.field(repr=False)
    task_id: str | None = None
    """Task that it is an event of."""


@attrs.define(eq=False)
class EmitEach:
    """Pass values to the caller, one by one, for less than an ``Emit`` for each. Outcome: None.

    They need nothing of their connection, and the iterator raises nothing.
    """

    values: Iterator[Any] = attrs.field(repr=False)
    task_id: str | None = None
    """Task that they are events of."""


Effect = Send | Open | Read | Sleep | Spawn | RunBlocking | Emit | EmitEach


class Aborted(Exception):  # noqa: N818 (not an error: a message to an operation)
    """Thrown into an operation whose caller has left. It may yield effects to clean up; nobody receives its Emits."""

    def __init__(self, cause: BaseException | None = None) -> None:
        super().__init__()
        self.cause = cause
        """Exception that made the caller leave; the operation may add a note to it."""


T = TypeVar("T")
Operation = Generator[Effect, Any, T]
"""A generator of effects that returns a T."""
