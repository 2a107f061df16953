"""The decoder of server-sent events."""

from __future__ import annotations

from itertools import chain

import pytest

from claude_code_client import StreamInterruptedError
from claude_code_client._stream import EventDecoder, ServerSentEvent

STREAM = (
    b"\xef\xbb\xbf: hello\n\n"
    b"id: 1\nevent: a\ndata: one\n\n"
    b"data: two\r\ndata\r\ndata:  three\r\n\r\n"
    b'retry: 250\rid: 2\rdata:{"k": "v"}\r\r'
    b": ping\n\n"
    b"id: bad\0id\nevent: b\nunknown: x\ndata: \xe2\x82\xac\xff\n\n"
    b"event: dropped\n\n"
    b"data: unfinished\n"
)
EVENTS = [
    ServerSentEvent(type="a", data="one", id="1"),
    ServerSentEvent(data="two\n\n three", id="1"),
    ServerSentEvent(data='{"k": "v"}', id="2"),
    ServerSentEvent(type="b", data="€\ufffd", id="2"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, len(STREAM)])
def test_any_chunking_gives_the_same_events(size: int) -> None:
    decoder = EventDecoder()
    events = [event for start in range(0, len(STREAM), size) for event in decoder.feed(STREAM[start : start + size])]
    assert events == EVENTS
    assert decoder.retry == 0.25
    assert decoder.last_event_id == "2"


def test_every_split_in_two_gives_the_same_events() -> None:
    for cut in range(len(STREAM) + 1):
        decoder = EventDecoder()
        assert [*decoder.feed(STREAM[:cut]), *decoder.feed(b""), *decoder.feed(STREAM[cut:])] == EVENTS, cut


@pytest.mark.parametrize("chunk", [b"data: " + b"x" * 60 + b"\n", b"x" * 30, b"data: x\n"])
def test_an_endless_event_is_refused(chunk: bytes) -> None:
    decoder = EventDecoder(max_event_bytes=100)
    with pytest.raises(StreamInterruptedError, match="larger than 100 bytes"):
        list(chain.from_iterable(decoder.feed(chunk) for _ in range(20)))


def test_pings_do_not_count_as_an_event() -> None:
    decoder = EventDecoder(max_event_bytes=100)
    for _ in range(200):
        assert list(decoder.feed(b": ping\n\n")) == []
    assert [event.data for event in decoder.feed(b"data: x\n\n")] == ["x"]
