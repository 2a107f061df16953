"""An event stream, once opened, as a sequence of events; a operation. No I/O."""

from __future__ import annotations

import json
import time
from collections import deque
from typing import Any

from claude_code_common.sse import MEDIA_TYPE, EventDecoder, EventTooLargeError, ServerSentEvent

from .._wire.error_bodies import shorten_body
from ..errors import ClaudeAPIError, StreamInterruptedError, TimeoutError, UnexpectedResponseError
from .effects import Head, Open, Operation, Read, Request


class EventReader:
    """One connection's events."""

    def __init__(self) -> None:
        self._decoder = EventDecoder()
        self._events: deque[ServerSentEvent] = deque()
        self._problem: ClaudeAPIError | None = None
        self.head: Head | None = None
        """The start of the answer, once it has come."""

    @property
    def retry(self) -> float | None:
        """Seconds that the server asks to wait before the next connection."""
        return self._decoder.retry

    def open(self, request: Request, *, deadline: float, read_timeout: float) -> Operation[None]:
        """Send the request. Raises UnexpectedResponseError for an answer that is no event stream."""
        head = yield Open(request=request, deadline=deadline, read_timeout=read_timeout, accept=MEDIA_TYPE)
        self.head = head
        kind = head.headers.get("content-type", "")
        if kind.partition(";")[0].strip().lower() != MEDIA_TYPE:
            raise UnexpectedResponseError(
                f"The answer is no event stream but {kind or 'of no content type'}. "
                "Check that base_url is a Claude Code API, and what proxies are on the way.",
                status_code=head.status_code,
                attempts=head.attempts,
            )

    def next_event(self, until: float) -> Operation[ServerSentEvent | None]:
        """The next event, or None where the stream has ended.

        Raises TimeoutError where none comes before ``until`` (monotonic seconds), though other bytes may;
        APIConnectionError where the connection is cut or dead; StreamInterruptedError for an event that is too large.
        """
        while not self._events:
            if self._problem is not None:
                raise self._problem
            chunk: bytes | None = yield Read(until=until)
            if chunk is None:
                return None
            try:
                self._events.extend(self._decoder.feed(chunk))
            except EventTooLargeError as error:
                # Deliver the events before it first.
                self._problem = StreamInterruptedError(str(error))
            if not self._events and time.monotonic() >= until:
                raise TimeoutError("No event came in time.")
        return self._events.popleft()


def payload(sse: ServerSentEvent) -> dict[str, Any]:
    """The event's JSON object; types that this version does not know pass as they are."""
    try:
        event = json.loads(sse.data)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise UnexpectedResponseError(
            f"The stream's event {sse.id or '?'} is not a JSON object.", body=shorten_body(sse.data.encode())
        )
    event.setdefault("type", sse.type)
    return event


def error_of(event: dict[str, Any]) -> dict[str, Any]:
    """The ``error`` object of an event of that type."""
    detail = event.get("error")
    return (
        detail if isinstance(detail, dict) else {"message": str(event.get("content") or "The server gave no reason.")}
    )
