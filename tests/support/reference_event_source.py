"""Reference parser of server-sent events: the standards word for word, slow, for a complete stream.

The comments are the steps of "Server-sent events" in WHATWG HTML and of "UTF-8 decode" in the Encoding standard.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from claude_code_common.sse import ServerSentEvent

_LINE_END = re.compile("\r\n|\n|\r")


@dataclass
class EventSource:
    """Events of a stream, and the state at its end."""

    events: list[ServerSentEvent] = field(default_factory=list)
    last_event_id: str = ""
    reconnection_time: int | None = None
    """Milliseconds."""
    _data: str = ""
    _type: str = ""
    _id: str = ""
    _names_id: bool = False
    """Not part of the standard."""

    @classmethod
    def of(cls, stream: bytes) -> EventSource:
        source = cls()
        # What follows the last line end is a line that has not ended. Data that is pending is discarded.
        for line in _LINE_END.split(utf8_decode(stream))[:-1]:
            source._process(line)
        return source

    def _process(self, line: str) -> None:
        # If the line is empty (a blank line): Dispatch the event.
        if line == "":
            self._dispatch()
        # If the line starts with a U+003A COLON character (:): Ignore the line.
        elif line[0] == ":":
            pass
        # If the line contains a U+003A COLON character (:)
        elif ":" in line:
            # Collect the characters on the line before the first colon, and let field be that string. Collect those
            # after it, and let value be that string. If value starts with a U+0020 SPACE, remove it from value.
            colon = line.index(":")
            name, value = line[:colon], line[colon + 1 :]
            self._field(name, value[1:] if value[:1] == " " else value)
        # Otherwise: the whole line is the field name, and the empty string the field value.
        else:
            self._field(line, "")

    def _field(self, name: str, value: str) -> None:
        if name == "event":
            # Set the event type buffer to field value.
            self._type = value
        elif name == "data":
            # Append the field value to the data buffer, then append a single U+000A LINE FEED to the data buffer.
            self._data += value + "\n"
        elif name == "id":
            # If the field value does not contain U+0000 NULL, then set the last event ID buffer to the field value.
            if "\0" not in value:
                self._id = value
                self._names_id = True
        # If the field value consists of only ASCII digits, then interpret it as an integer in base ten, and set the
        # event stream's reconnection time to that integer. (No digits are no integer.)
        elif name == "retry" and value != "" and all(character in "0123456789" for character in value):
            self.reconnection_time = int(value)
        # Otherwise: The field is ignored.

    def _dispatch(self) -> None:
        # Set the last event ID string of the event source to the value of the last event ID buffer. The buffer does
        # not get reset.
        self.last_event_id = self._id
        # If the data buffer is an empty string, set the data buffer and the event type buffer to it, and return.
        if self._data != "":
            # If the data buffer's last character is a U+000A LINE FEED, then remove it. The event's type is that of
            # the event type buffer, if it has a value other than the empty string, else "message".
            data = self._data[:-1] if self._data[-1] == "\n" else self._data
            self.events.append(
                ServerSentEvent(type=self._type or "message", data=data, id=self.last_event_id, has_id=self._names_id)
            )
        self._data = self._type = ""
        self._names_id = False


def utf8_decode(stream: bytes) -> str:
    """Return the text without a leading byte order mark; invalid UTF-8 becomes U+FFFD."""
    text: list[str] = []
    code_point = seen = needed = 0
    lower, upper = 0x80, 0xBF
    queue = list(reversed(stream[3:] if stream[:3] == b"\xef\xbb\xbf" else stream))
    while queue:
        byte = queue.pop()
        if needed == 0:
            if byte <= 0x7F:
                text.append(chr(byte))
            elif 0xC2 <= byte <= 0xDF:
                needed, code_point = 1, byte & 0x1F
            elif 0xE0 <= byte <= 0xEF:
                # 0xE0: set lower boundary to 0xA0. 0xED: set upper boundary to 0x9F.
                lower, upper = 0xA0 if byte == 0xE0 else 0x80, 0x9F if byte == 0xED else 0xBF
                needed, code_point = 2, byte & 0xF
            elif 0xF0 <= byte <= 0xF4:
                # 0xF0: set lower boundary to 0x90. 0xF4: set upper boundary to 0x8F.
                lower, upper = 0x90 if byte == 0xF0 else 0x80, 0x8F if byte == 0xF4 else 0xBF
                needed, code_point = 3, byte & 0x7
            else:
                text.append("\ufffd")
            continue
        if not lower <= byte <= upper:
            code_point = needed = seen = 0
            lower, upper = 0x80, 0xBF
            # Restore byte to the stream, and return error.
            queue.append(byte)
            text.append("\ufffd")
            continue
        lower, upper = 0x80, 0xBF
        code_point = (code_point << 6) | (byte & 0x3F)
        seen += 1
        if seen == needed:
            text.append(chr(code_point))
            code_point = needed = seen = 0
    if needed != 0:
        text.append("\ufffd")
    return "".join(text)
