"""Following a task's events over as many connections as it takes, as a operation. No I/O."""

from __future__ import annotations

import time
from typing import Any, Final

import attrs
from claude_code_api.api.tasks import stream_task_events
from claude_code_api.types import UNSET

from claude_code_common.sse import ServerSentEvent

from .._policy.reconnect import ReconnectBudget, is_transient
from .._policy.retry import MAX_RETRY_AFTER
from .._wire.event_cursor import Continuity, EventCursor
from ..errors import (
    APIConnectionError,
    ClaudeAPIError,
    StreamInterruptedError,
    TaskStalledError,
    TimeoutError,
)
from .effects import Emit, Operation
from .event_stream import EventReader, payload

MAX_REREADS: Final = 2
"""How often a gap is read again before it counts as lasting."""
_TERMINAL: Final = ("result", "error")


@attrs.frozen(kw_only=True)
class StreamTimeouts:
    """How long the following may take, and how long there may be silence."""

    deadline: float
    """On the monotonic clock, in seconds."""
    read_timeout: float
    """Seconds without a byte after which a connection counts as dead."""
    stall_timeout: float | None = None
    """Seconds without an event, over a connection that lives, after which the task counts as stalled."""
    has_answered: bool = True
    """Whether the server has answered before; else trouble with the first connection is likely to be lasting."""


@attrs.frozen
class TerminalEvent:
    """The last event of a task."""

    event: dict[str, Any] = attrs.field(repr=False)
    seen: bool = False
    """Whether the caller had it before."""


@attrs.frozen
class _Cut:
    """Why a connection ended before the task's events did."""

    reason: str
    error: ClaudeAPIError | None = None


def follow_task(task_id: str, watch: StreamTimeouts, cursor: EventCursor) -> Operation[TerminalEvent]:
    """Emits each event of a task after ``cursor`` as a dict, once and in order; gives back the terminal one.

    Raises StreamInterruptedError where the events cannot be had any more; TaskStalledError; TimeoutError; what the
    server says where it refuses.
    """
    cursor.task_id = task_id
    return _Follower(task_id, watch, cursor).follow()


class _Follower:
    def __init__(self, task_id: str, watch: StreamTimeouts, cursor: EventCursor) -> None:
        self._task_id = task_id
        self._watch = watch
        self._cursor = cursor
        self._clock = _ProgressClock(watch.stall_timeout)
        self._reconnects = ReconnectBudget()
        self._rereads = 0
        self._opened = False
        self._start = cursor.number
        self._look_back = 0
        self._retry: float | None = None

    def follow(self) -> Operation[TerminalEvent]:
        while True:
            reader = EventReader()
            end = yield from self._connection(reader)
            self._clock.stop()
            if isinstance(end, TerminalEvent):
                return end
            attempts, history = _attempts(reader, end)
            self._reconnects.note(attempts, history)
            if not self._cursor.resumable or self._rereads > MAX_REREADS:
                raise self._given_up(end)
            if not (yield from self._reconnects.pause(self._watch.deadline, asked=self._asked(reader, end))):
                raise self._given_up(end)
            self._check_deadline()

    def _asked(self, reader: EventReader, end: _Cut) -> float | None:
        """Seconds that the server asks to wait: with ``Retry-After``, or for good with ``retry``."""
        if reader.retry is not None:
            self._retry = min(reader.retry, MAX_RETRY_AFTER)
        asked = end.error.retry_after if end.error is not None else None
        return self._retry if asked is None else asked

    def _connection(self, reader: EventReader) -> Operation[TerminalEvent | _Cut]:
        after = max(self._cursor.number - self._look_back, 0)
        request = stream_task_events._get_kwargs(self._task_id, last_event_id=str(after) if after else UNSET)
        try:
            yield from reader.open(request, deadline=self._watch.deadline, read_timeout=self._watch.read_timeout)
        except ClaudeAPIError as error:
            if (self._opened or self._watch.has_answered) and is_transient(error, opened=self._opened):
                return _Cut(error.message.rstrip("."), error)
            raise
        self._opened = True
        self._clock.start()
        try:
            return (yield from self._events(reader))
        except APIConnectionError as error:
            return _Cut(error.message.rstrip("."), error)
        except TimeoutError as error:
            problem = error
        self._check_deadline(problem)
        raise TaskStalledError(
            f"No event of the task came for {self._watch.stall_timeout:g} s. "
            "Give it a larger stall_timeout if its steps may take that long.",
            attempts=self._reconnects.attempts + 1,
        )

    def _events(self, reader: EventReader) -> Operation[TerminalEvent | _Cut]:
        while True:
            sse = yield from reader.next_event(min(self._watch.deadline, self._clock.stalled_at))
            if sse is None:
                # A stream that is empty after the event that the caller has: that one may be the last.
                self._look_back = int(self._cursor.number == self._start)
                return _Cut("the server closed it")
            match self._cursor.classify(sse):
                case Continuity.GAP:
                    self._rereads += 1
                    return _Cut(f"event {self._cursor.number + 1} is missing")
                case Continuity.DUPLICATE:
                    if sse.id == self._cursor.last_event_id and _is_terminal(event := payload(sse)):
                        return TerminalEvent(event, seen=True)
                case Continuity.NEXT:
                    event = self._next(sse)
                    if _is_terminal(event):
                        return TerminalEvent(event)
                    yield Emit(event)
                    self._clock.start()

    def _next(self, sse: ServerSentEvent) -> dict[str, Any]:
        event = payload(sse)
        self._cursor.advance(sse)
        self._reconnects.progress()
        self._clock.progress()
        self._rereads = 0
        return event

    def _check_deadline(self, problem: ClaudeAPIError | None = None) -> None:
        if time.monotonic() >= self._watch.deadline:
            raise TimeoutError(
                f"The stream of the task {self._task_id} did not end within its timeout. Give it a larger one.",
                attempts=problem.attempts if problem else self._reconnects.attempts,
            )

    def _given_up(self, end: _Cut) -> ClaudeAPIError:
        if not self._opened and end.error is not None:
            end.error.attempts, end.error.history = self._reconnects.attempts, self._reconnects.history
            return end.error
        return StreamInterruptedError(
            f"The stream of the task {self._task_id} was cut before its end: {end.reason}. The task may still run: "
            "stream_events(error.task_id, after=error.last_event_id) goes on, get_task() tells how it stands.",
            status_code=end.error.status_code if end.error else None,
            request_id=end.error.request_id if end.error else None,
            attempts=self._reconnects.attempts,
            history=self._reconnects.history,
        )


class _ProgressClock:
    """Counts the time without an event while a connection lives; nobody knows what happens while there is none."""

    def __init__(self, stall_timeout: float | None) -> None:
        self._whole = float("inf") if stall_timeout is None else stall_timeout
        self._left = self._whole
        self.stalled_at = float("inf")
        """On the monotonic clock, in seconds."""

    def start(self) -> None:
        self.stalled_at = time.monotonic() + self._left

    def stop(self) -> None:
        if self.stalled_at != float("inf"):
            self._left = max(self.stalled_at - time.monotonic(), 0.0)
            self.stalled_at = float("inf")

    def progress(self) -> None:
        self._left = self._whole


def _attempts(reader: EventReader, end: _Cut) -> tuple[int, tuple[str, ...]]:
    """How often one connection was tried, and what each attempt met."""
    if end.error is not None:
        return end.error.attempts, end.error.history
    head = reader.head
    return (head.attempts, (*head.history, f"{head.status_code}, then {end.reason}")) if head else (0, ())


def _is_terminal(event: dict[str, Any]) -> bool:
    return event["type"] in _TERMINAL
