"""Events of one connection. No I/O."""

from __future__ import annotations

import json
import time
from collections import deque
from typing import Any, Final

from claude_code_common.sse import MEDIA_TYPE, EventDecoder, EventTooLargeError, ServerSentEvent

from .._wire.error_bodies import shorten_body
from ..errors import ClaudeAPIError, StreamInterruptedError, TimeoutError, UnexpectedResponseError
from .effects import Delivery, Head, Open, Operation, Read, Request

_NO_CONTENT: Final = 204


class EventReader:
    """Reader of the events of one connection."""

    def __init__(self) -> None:
        self._decoder = EventDecoder()
        self.arrived: deque[ServerSentEvent] = deque()
        """Events that have arrived and were not taken."""
        self._error: ClaudeAPIError | None = None
        self.head: Head | None = None
        """Head of the response; None until it has been received."""
        self.exhausted = False
        """True if the server has responded that no further event will follow."""

    @property
    def retry(self) -> float | None:
        """Seconds that the server asks to wait before the next connection."""
        return self._decoder.retry

    def open(
        self,
        request: Request,
        *,
        deadline: float,
        read_timeout: float,
        may_be_exhausted: bool = False,
        delivery: Delivery | None = None,
    ) -> Operation[None]:
        """Send the request. Raises UnexpectedResponseError if the response is not an event stream.

        With ``may_be_exhausted``, a response without content (204) sets ``exhausted`` instead.
        """
        head = yield Open(
            request=request, deadline=deadline, read_timeout=read_timeout, accept=MEDIA_TYPE, delivery=delivery
        )
        self.head = head
        if may_be_exhausted and head.status_code == _NO_CONTENT:
            self.exhausted = True
            return
        content_type = head.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != MEDIA_TYPE:
            raise UnexpectedResponseError(
                f"Expected an event stream, got {content_type or 'a response without a content type'}. "
                "Check that base_url points to a Claude Code API, and check any proxy in between.",
                status_code=head.status_code,
                attempts=head.attempts,
            )

    def take_event(self) -> ServerSentEvent | None:
        """Return the next event if it has arrived already."""
        return self.arrived.popleft() if self.arrived else None

    def next_event(self, until: float) -> Operation[ServerSentEvent | None]:
        """Return the next event, or None at the end of the stream.

        Raises TimeoutError if no event arrives before ``until`` (monotonic seconds), even if other bytes do;
        APIConnectionError if the connection is cut or dead; StreamInterruptedError if an event is too large.
        """
        while not self.arrived:
            if self._error is not None:
                raise self._error
            chunk: bytes | None = yield Read(until=until)
            if chunk is None:
                return None
            try:
                self.arrived.extend(self._decoder.feed(chunk))
            except EventTooLargeError as error:
                # Deliver the events before it first.
                self._error = StreamInterruptedError(str(error))
            if not self.arrived and time.monotonic() >= until:
                raise TimeoutError("No event arrived in time.")
        return self.arrived.popleft()


def payload(sse: ServerSentEvent) -> dict[str, Any]:
    """Return the event's JSON object. Events of unknown types are returned unchanged."""
    event = plain_payload(sse)
    if event is None:
        event = _decoded(sse.data)
    if not isinstance(event, dict):
        raise UnexpectedResponseError(
            f"Event {sse.id or '?'} of the stream is not a JSON object.", body=shorten_body(sse.data.encode())
        )
    event.setdefault("type", sse.type)
    return event


def plain_payload(sse: ServerSentEvent) -> dict[str, Any] | None:
    """Return the event's JSON object if its data is that and nothing else, and has a type."""
    try:
        event, end = _JSON.raw_decode(sse.data)
    except (ValueError, RecursionError):
        return None
    return event if type(event) is dict and "type" in event and end == len(sse.data) else None


def _decoded(data: str) -> Any:
    """Return JSON with white space around it; None for anything else."""
    try:
        return _JSON.decode(data)
    except (ValueError, RecursionError):
        return None


def _reject_constant(name: str) -> None:
    """Raise ValueError: NaN and Infinity are not JSON, although Python reads them."""
    raise ValueError(name)


_JSON: Final = json.JSONDecoder(parse_constant=_reject_constant)


def error_detail(event: dict[str, Any]) -> dict[str, Any]:
    """Return the ``error`` object of an ``error`` event."""
    detail = event.get("error")
    return (
        detail if isinstance(detail, dict) else {"message": str(event.get("content") or "The server gave no reason.")}
    )
