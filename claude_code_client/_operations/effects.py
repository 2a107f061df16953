"""The language in which a call is decided without I/O.

An operation is a generator: it yields effects, is sent their outcomes, and returns the result. It is written
once; a synchronous and an asynchronous driver carry it out. (psycopg 3's ``generators.py`` and ``waiting.py`` work so.)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeVar

import attrs

Request = dict[str, Any]
"""What a generated ``_get_kwargs`` gives back."""


@attrs.frozen(kw_only=True)
class Send:
    """Send a request and read the whole answer. Sent back: the response, a success."""

    request: Request = attrs.field(repr=False)
    deadline: float
    """On the monotonic clock, in seconds."""
    repeatable: bool | None = None
    """Whether it may reach the server twice and do no harm; None: as the method and the Idempotency-Key say."""


@attrs.frozen(kw_only=True)
class Open:
    """Send a request and leave the answer's body unread; it replaces what was open. Sent back: its ``Head``."""

    request: Request = attrs.field(repr=False)
    deadline: float
    read_timeout: float
    """Seconds without a byte after which the body counts as dead."""
    accept: str = "text/event-stream"
    """The media type that is wanted."""


@attrs.frozen(kw_only=True)
class Head:
    """The start of what was opened, a success."""

    status_code: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    """In lower case."""
    attempts: int = 1
    history: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Read:
    """Read from what is open. Sent back: the next bytes, or None at the end.

    Raises APIConnectionError where the body breaks off or is dead; TimeoutError where nothing comes before ``until``.
    """

    until: float
    """On the monotonic clock, in seconds; the deadline of what is open counts too."""


@attrs.frozen
class Sleep:
    """Wait. Sent back: nothing."""

    seconds: float


@attrs.frozen
class Spawn:
    """Carry another operation out in the background, on a connection of its own. Sent back: nothing, and at once."""

    operation: Generator[Any, Any, Any] = attrs.field(repr=False)


@attrs.frozen
class RunBlocking:
    """Do something that takes a moment, such as writing to a disk. Sent back: what it gives."""

    work: Callable[[], Any] = attrs.field(repr=False)


@attrs.frozen
class Emit:
    """Hand a value to the caller. Sent back: nothing."""

    value: Any = attrs.field(repr=False)


Effect = Send | Open | Read | Sleep | Spawn | RunBlocking | Emit


class Aborted(Exception):  # noqa: N818 (no error: a message to a operation)
    """Thrown into a operation whose caller has left. It may still yield what tidies up; what it emits goes nowhere."""

    def __init__(self, cause: BaseException | None = None) -> None:
        super().__init__()
        self.cause = cause
        """What made the caller leave; it may be given a note."""


T = TypeVar("T")
Operation = Generator[Effect, Any, T]
