"""Server-sent events as bytes, after the WHATWG HTML standard ("Server-sent events"). No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

MEDIA_TYPE: Final = "text/event-stream"
MAX_EVENT_BYTES: Final = 64 * 1024 * 1024
"""Default limit on one event, so that an endless event cannot exhaust memory."""

_BOM: Final = b"\xef\xbb\xbf"
_PLAIN_EVENT: Final = re.compile(r"id: ([^\n\0]*)\nevent: ([^\n]+)\ndata: ([^\n]*)\n\n")
"""An event as ``encode_event`` writes it."""
_PLAIN_EVENTS: Final = re.compile(rb"(?:id: [^\n\0]*\nevent: [^\n]+\ndata: [^\n]*\n\n)++")


class EventTooLargeError(ValueError):
    """Raised for an event larger than the decoder's limit."""


class ServerSentEvent(NamedTuple):
    """A decoded event."""

    type: str = "message"
    data: str = ""
    id: str = ""
    """The stream's last event ID as of this event."""
    has_id: bool = False
    """True if the event carries its own ID; otherwise ``id`` is inherited from an earlier event."""


def encode_event(type: str, data: bytes, *, id: int | str | None = None) -> bytes:
    """Encode one event. ``data`` must be a single line."""
    head = "" if id is None else f"id: {id}\n"
    return f"{head}event: {type}\ndata: ".encode() + data + b"\n\n"


class EventDecoder:
    """Incremental decoder: accepts chunks split anywhere, in time and memory linear in their size."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.last_event_id = ""
        """ID of the last complete event, including events without data."""
        self.retry: float | None = None
        """Reconnection delay requested by the server, in seconds."""
        self._max = max_event_bytes
        self._too_large = False
        self._at_start = True
        self._after_cr = False
        self._line = bytearray()
        """The incomplete line at the end of the last chunk."""
        # The incomplete event:
        self._size = 0
        self._type = ""
        self._id: str | None = None
        self._data: bytes | bytearray | None = None

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Decode a whole chunk at once and return the events that it completes.

        In place of an event larger than the limit the iterator raises EventTooLargeError, and so does the iterator
        of every later call.
        """
        events: list[ServerSentEvent] = []
        if not self._too_large:
            self._decode(chunk, events)
        return self._refuse(events) if self._too_large else iter(events)

    def _refuse(self, events: list[ServerSentEvent]) -> Iterator[ServerSentEvent]:
        yield from events
        raise EventTooLargeError(f"The stream contains an event larger than the limit of {self._max} bytes.")

    def _decode(self, chunk: bytes, events: list[ServerSentEvent]) -> None:
        if self._at_start:
            self._line += chunk
            if _BOM.startswith(self._line):
                return
            self._at_start = False
            chunk, self._line = bytes(self._line.removeprefix(_BOM)), bytearray()
        # A CR at the end of a chunk ends a line; an LF at the start of the next chunk belongs to the same line end.
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        start = 0
        if not self._is_between_events:
            start = chunk.find(b"\n\n") + 2
            self._take_lines(chunk[:start] if start > 1 else chunk, events)
            if start == 1 or self._too_large:
                return
        if self._is_between_events:
            start = self._take_plain(chunk, start, events)
        self._take_lines(chunk[start:], events)

    @property
    def _is_between_events(self) -> bool:
        return not (self._too_large or self._size or self._line) and self._id is None and self._data is None

    def _take_plain(self, chunk: bytes, start: int, events: list[ServerSentEvent]) -> int:
        """Take whole events as long as they are written in the usual way; return where the first other one starts."""
        found = _PLAIN_EVENTS.match(chunk, start)
        if found is None or found.end() - start > self._max:  # perhaps none of them is too large: not worth a way here
            return start
        new = tuple.__new__  # without the function that a NamedTuple has around it
        text = found[0].decode("utf-8", "replace")
        events += [new(ServerSentEvent, (type, data, id, True)) for id, type, data in _PLAIN_EVENT.findall(text)]
        self.last_event_id = events[-1].id
        return found.end()

    def _take_lines(self, chunk: bytes, events: list[ServerSentEvent]) -> None:
        """Take lines in any form, of which the last may be incomplete."""
        first, last = chunk.find(b"\n"), chunk.rfind(b"\n")
        if first >= 0:
            self._line += chunk[:first]
            line, self._line = self._line, bytearray()
            lines = chunk[first:last]
            count = lines.count(b"\n")
            if count and count == lines.count(b"\ndata: "):
                self._take([line], events)
                self._take_data(lines, count)
            else:
                self._take([line, *lines.split(b"\n")[1:]], events)
        self._line += chunk[last + 1 :]
        if self._size + len(self._line) > self._max:
            self._too_large = True

    def _take(self, lines: Iterable[bytes | bytearray], events: list[ServerSentEvent]) -> None:
        for line in lines:
            if not line:
                self._dispatch(events)
            elif not self._read(line):
                self._too_large = True
                return

    def _take_data(self, lines: bytes, count: int) -> None:
        """Append many data lines at once; each is an LF, ``data: `` and a value."""
        self._size += len(lines) - count
        self._append(lines.replace(b"\ndata: ", b"\n")[1:])

    def _read(self, line: bytes | bytearray) -> bool:
        """Read one line; return False if it makes the event too large."""
        size = self._size + len(line)
        if size > self._max:
            return False
        name, value = _field(line)
        if not name:
            # A comment adds nothing to the event.
            return True
        self._size = size
        if name == b"data":
            self._append(value)
        elif name == b"event":
            self._type = value.decode("utf-8", "replace")
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit():
            self.retry = float(value) / 1000
        return True

    def _append(self, value: bytes | bytearray) -> None:
        if self._data is None:
            self._data = value
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        self._data += b"\n"
        self._data += value

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        if self._id is not None:
            self.last_event_id = self._id
        if self._data is not None:
            events.append(
                ServerSentEvent(
                    type=self._type or "message",
                    data=self._data.decode("utf-8", "replace"),
                    id=self.last_event_id,
                    has_id=self._id is not None,
                )
            )
        self._size, self._type, self._id, self._data = 0, "", None, None


def _field(line: bytes | bytearray) -> tuple[bytes | bytearray, bytes | bytearray]:
    """Split a line into name and value. May consume ``line``."""
    if isinstance(line, bytes):
        name, _, value = line.partition(b":")
        return name, value.removeprefix(b" ")
    # A line that arrived in pieces may be large: cut the value out of it instead of copying it.
    colon = line.find(b":")
    if colon < 0:
        return line, b""
    start = colon + 2 if line.startswith(b" ", colon + 1) else colon + 1
    named = bytes(line[:colon])
    del line[:start]
    return named, line
