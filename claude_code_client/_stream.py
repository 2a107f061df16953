"""Bytes → server-sent events, by the WHATWG HTML standard ("Server-sent events", parsing an event stream). No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from .errors import StreamInterruptedError

MAX_EVENT_BYTES: Final = 64 * 1024 * 1024
"""One event may be this large; an endless one must not fill the memory."""

_BOM: Final = b"\xef\xbb\xbf"


@attrs.frozen(kw_only=True)
class ServerSentEvent:
    """One event as the stream has it."""

    type: str = "message"
    data: str = ""
    id: str = ""
    """The stream's last event id at this event."""


class EventDecoder:
    """Takes chunks however they are cut; time and memory are linear in what comes."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.last_event_id = ""
        self.retry: float | None = None
        """Seconds that the server asks to wait before reconnecting."""
        self._max = max_event_bytes
        self._partial: list[bytes] = []
        self._size = 0
        self._swallow_newline = False
        self._at_start = True
        self._type = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Decode more bytes and give the events that they complete.

        Raises StreamInterruptedError for an event larger than the limit.
        """
        if self._swallow_newline and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._swallow_newline = False
        for line in chunk.splitlines(keepends=True):
            self._size += len(line)
            if self._size > self._max:
                raise StreamInterruptedError(f"The stream has an event larger than {self._max} bytes.")
            if not line.endswith((b"\n", b"\r")):
                self._partial.append(line)
                continue
            if self._partial:
                self._partial.append(line)
                line = b"".join(self._partial)
                self._partial.clear()
            event = self._line(line.rstrip(b"\r\n"))
            if event is not None:
                yield event
        # A CR that ends a chunk ends a line; an LF that follows belongs to it.
        self._swallow_newline = self._swallow_newline or chunk.endswith(b"\r")

    def _line(self, raw: bytes) -> ServerSentEvent | None:
        if self._at_start:
            raw = raw.removeprefix(_BOM)
            self._at_start = False
        if not raw:
            return self._dispatch()
        name, _, value = raw.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._type = value
            case "id" if "\0" not in value:
                self.last_event_id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry = int(value) / 1000
            case "":
                # A comment shows that the connection lives and adds nothing to the event.
                self._size -= len(raw)
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        event = None
        if self._data:
            event = ServerSentEvent(type=self._type or "message", data="\n".join(self._data), id=self.last_event_id)
        self._type, self._data, self._size = "", [], 0
        return event
