"""Events of one task, over as many connections as it takes. No I/O."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import attrs
from claude_code_api.api.tasks import stream_task_events
from claude_code_api.types import UNSET

from .._policy.reconnect import ReconnectBudget, is_transient
from .._policy.retry import MAX_RETRY_AFTER
from .._wire import responses
from .._wire.event_cursor import Continuity, EventCursor
from ..errors import (
    APIConnectionError,
    ClaudeAPIError,
    StreamInterruptedError,
    TaskStalledError,
    TimeoutError,
)
from .backoff import wait_to_reconnect
from .effects import Emit, EmitEach, Operation
from .event_stream import EventReader, payload, plain_payload

MAX_REREADS: Final = 2
"""Further attempts to read a missing event before it counts as lost."""
_TERMINAL: Final = ("result", "error")


@attrs.frozen(kw_only=True)
class StreamTimeouts:
    """Time limits of following a task."""

    deadline: float
    """Seconds on the monotonic clock."""
    read_timeout: float
    """Seconds without a byte after which a connection counts as dead."""
    stall_timeout: float | None = None
    """Seconds without an event, on a live connection, after which the task counts as stalled."""


@attrs.frozen
class TerminalEvent:
    """Last event of a task."""

    event: dict[str, Any] = attrs.field(repr=False)
    is_duplicate: bool = False
    """True if the caller has already received it."""


@attrs.frozen
class _Interruption:
    """End of a connection before the end of the task's events."""

    reason: str
    error: ClaudeAPIError | None = None


def follow_task(
    task_id: str, timeouts: StreamTimeouts, cursor: EventCursor, *, is_reachable: bool = True
) -> Operation[TerminalEvent]:
    """Emit each event of a task after ``cursor`` as a dict, once and in order; return the terminal event.

    Args:
        task_id: The task.
        timeouts: Time limits.
        cursor: Position in the events, advanced with each.
        is_reachable: Whether the server has responded before. If it has not, a failure of the first connection is
            likely to persist, and is raised.

    Raises:
        StreamInterruptedError: Reconnecting brought no further events.
        TaskStalledError: No event arrived for the stall timeout.
        TimeoutError: The deadline has passed.
        ClaudeAPIError: The server refused.
    """
    cursor.task_id = task_id
    return _Follower(task_id, timeouts, cursor, is_reachable).follow()


class _Follower:
    def __init__(self, task_id: str, timeouts: StreamTimeouts, cursor: EventCursor, is_reachable: bool) -> None:
        self._task_id = task_id
        self._timeouts = timeouts
        self._cursor = cursor
        self._is_reachable = is_reachable
        self._stall_timer = _StallTimer(timeouts.stall_timeout)
        self._reconnects = ReconnectBudget()
        self._rereads = 0
        self._opened = False
        self._start = cursor.number
        self._overlap = 0
        """Received events to request again."""
        self._retry: float | None = None

    def follow(self) -> Operation[TerminalEvent]:
        while True:
            reader = EventReader()
            end = yield from self._connection(reader)
            self._stall_timer.stop()
            if isinstance(end, TerminalEvent):
                return end
            if reader.exhausted and not self._overlap:
                # The last event received is the terminal event: read it again.
                self._overlap = 1
                continue
            self._reconnects.note(*_attempts(reader, end))
            if not self._cursor.resumable or self._rereads > MAX_REREADS:
                raise self._failure(end)
            retry_after = self._retry_after(reader, end)
            if not (yield from wait_to_reconnect(self._reconnects, self._timeouts.deadline, retry_after=retry_after)):
                raise self._failure(end)
            self._check_deadline()

    def _retry_after(self, reader: EventReader, end: _Interruption) -> float | None:
        """Return the seconds that the server asks to wait: by ``Retry-After``, or by ``retry`` for all connections."""
        if reader.retry is not None:
            self._retry = min(reader.retry, MAX_RETRY_AFTER)
        retry_after = end.error.retry_after if end.error is not None else None
        return self._retry if retry_after is None else retry_after

    def _connection(self, reader: EventReader) -> Operation[TerminalEvent | _Interruption]:
        after = max(self._cursor.number - self._overlap, 0)
        request = stream_task_events._get_kwargs(self._task_id, last_event_id=str(after) if after else UNSET)
        try:
            yield from reader.open(
                request,
                deadline=self._timeouts.deadline,
                read_timeout=self._timeouts.read_timeout,
                may_be_exhausted=after > 0,
            )
        except ClaudeAPIError as error:
            if (self._opened or self._is_reachable) and is_transient(error, opened=self._opened):
                return _Interruption(error.message.rstrip("."), error)
            raise
        self._opened = True
        if reader.head is not None:
            self._cursor.headers = reader.head.headers
        if reader.exhausted:
            return _Interruption("it has no further events")
        self._stall_timer.start()
        try:
            return (yield from self._events(reader))
        except APIConnectionError as error:
            return _Interruption(error.message.rstrip("."), error)
        except TimeoutError as error:
            timeout = error
        self._check_deadline(timeout)
        raise TaskStalledError(
            f"No event of the task arrived for {self._timeouts.stall_timeout:g} s. "
            "Pass a larger stall_timeout if its steps may take that long.",
            attempts=self._reconnects.attempts + 1,
        )

    def _events(self, reader: EventReader) -> Operation[TerminalEvent | _Interruption]:
        cursor = self._cursor
        has_progress = False
        while True:
            if has_progress and reader.arrived:
                yield EmitEach(_plain_events(reader, cursor), self._task_id)
            sse = reader.take_event()
            if sse is None:
                if has_progress:
                    self._stall_timer.start()
                    has_progress = False
                sse = yield from reader.next_event(min(self._timeouts.deadline, self._stall_timer.stalls_at))
            if sse is None:
                # A stream without events after the last one received: that one may be the terminal event.
                self._overlap = int(cursor.number == self._start)
                return _Interruption("the server closed it")
            continuity, number = cursor.place(sse)
            match continuity:
                case Continuity.NEXT:
                    event = payload(sse)
                    if event["type"] == "result":
                        responses.check_result_event(event)
                    cursor.advance(number)
                    # Once for the events that arrive together.
                    if not has_progress:
                        self._note_progress()
                        has_progress = True
                    if event["type"] in _TERMINAL:
                        return TerminalEvent(event)
                    yield Emit(event, self._task_id)
                case Continuity.GAP:
                    self._rereads += 1
                    return _Interruption(f"event {cursor.number + 1} is missing")
                case Continuity.DUPLICATE:
                    if sse.id == cursor.last_event_id and (event := payload(sse))["type"] in _TERMINAL:
                        return TerminalEvent(event, is_duplicate=True)

    def _note_progress(self) -> None:
        self._reconnects.progress()
        self._stall_timer.reset()
        self._rereads = 0

    def _check_deadline(self, timeout: ClaudeAPIError | None = None) -> None:
        if time.monotonic() >= self._timeouts.deadline:
            raise TimeoutError(
                f"The stream of task {self._task_id} did not end within its timeout. Pass a larger timeout.",
                attempts=timeout.attempts if timeout else self._reconnects.attempts,
            )

    def _failure(self, end: _Interruption) -> ClaudeAPIError:
        if not self._opened and end.error is not None:
            end.error.attempts, end.error.history = self._reconnects.attempts, self._reconnects.history
            return end.error
        return StreamInterruptedError(
            f"The stream of task {self._task_id} ended early: {end.reason}. The task may still be running: resume with "
            "stream_events(error.task_id, after=error.last_event_id), or check it with get_task(error.task_id).",
            status_code=end.error.status_code if end.error else None,
            request_id=end.error.request_id if end.error else None,
            attempts=self._reconnects.attempts,
            history=self._reconnects.history,
        )


def _plain_events(reader: EventReader, cursor: EventCursor) -> Iterator[dict[str, Any]]:
    """Yield the events that have arrived, up to the first that is not simply the next one, or is the last."""
    arrived = reader.arrived
    while arrived:
        sse = arrived[0]
        number = cursor.number + 1
        if not sse.has_id or sse.id != str(number):
            return
        event = plain_payload(sse)
        if event is None or event["type"] in _TERMINAL:
            return
        arrived.popleft()
        cursor.advance(number)
        yield event


class _StallTimer:
    """Time without an event while connected; without a connection, nobody knows what the task is doing."""

    def __init__(self, stall_timeout: float | None) -> None:
        self._limit = float("inf") if stall_timeout is None else stall_timeout
        self._remaining = self._limit
        self.stalls_at = float("inf")
        """Seconds on the monotonic clock."""

    def start(self) -> None:
        if self._limit != float("inf"):
            self.stalls_at = time.monotonic() + self._remaining

    def stop(self) -> None:
        if self.stalls_at != float("inf"):
            self._remaining = max(self.stalls_at - time.monotonic(), 0.0)
            self.stalls_at = float("inf")

    def reset(self) -> None:
        """Allow the whole limit again from the next start."""
        self._remaining = self._limit


def _attempts(reader: EventReader, end: _Interruption) -> tuple[int, tuple[str, ...]]:
    """Return the HTTP attempts of one connection and their outcomes."""
    if end.error is not None:
        return end.error.attempts, end.error.history
    head = reader.head
    return (head.attempts, (*head.history, f"{head.status_code}, then {end.reason}")) if head else (0, ())
