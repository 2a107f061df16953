"""Decoder of server-sent events."""

from __future__ import annotations

import tracemalloc
from collections import deque
from itertools import chain

import pytest

from claude_code_common.sse import MAX_EVENT_BYTES, EventDecoder, EventTooLargeError, ServerSentEvent

STREAM = (
    b"\xef\xbb\xbf: hello\n\n"
    b"id: 1\nevent: a\ndata: one\n\n"
    b"data: two\r\ndata\r\ndata:  three\r\n\r\n"
    b'retry: 250\rid: 2\rdata:{"k": "v"}\r\r'
    b": ping\n\n"
    b"id: bad\0id\nevent: b\nunknown: x\ndata: \xe2\x82\xac\xff\n\n"
    b"event: dropped\n\n"
    b"id: 3\n\n"
    b"data\n\n"
    b"id\ndata: \xef\xbb\xbfthe id is empty now\n\n"
    b"id: 4\ndata: unfinished\n"
)
EVENTS = [
    ServerSentEvent(type="a", data="one", id="1", has_id=True),
    ServerSentEvent(data="two\n\n three", id="1"),
    ServerSentEvent(data='{"k": "v"}', id="2", has_id=True),
    ServerSentEvent(type="b", data="€\ufffd", id="2"),
    ServerSentEvent(data="", id="3"),
    ServerSentEvent(data="\ufeffthe id is empty now", id="", has_id=True),
]


def _events(stream: bytes) -> list[ServerSentEvent]:
    return list(EventDecoder().feed(stream))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, len(STREAM)])
def test_chunking_does_not_change_the_events(size: int) -> None:
    decoder = EventDecoder()
    events = [event for start in range(0, len(STREAM), size) for event in decoder.feed(STREAM[start : start + size])]
    assert events == EVENTS
    assert decoder.retry == 0.25
    assert decoder.last_event_id == ""


def test_splitting_in_two_does_not_change_the_events() -> None:
    for cut in range(len(STREAM) + 1):
        decoder = EventDecoder()
        assert [*decoder.feed(STREAM[:cut]), *decoder.feed(b""), *decoder.feed(STREAM[cut:])] == EVENTS, cut


@pytest.mark.parametrize("rest", ["", "id: 5", "id: 5\n", "id: 5\ndata: x\n", "id: 5\r\ndata: x\r\n"])
def test_incomplete_event_does_not_set_the_last_id(rest: str) -> None:
    """Otherwise a resumed stream would skip it."""
    decoder = EventDecoder()
    assert len(list(decoder.feed(b"id: 4\ndata: x\n\n" + rest.encode()))) == 1
    assert decoder.last_event_id == "4"
    list(decoder.feed(b"\n\n"))
    assert decoder.last_event_id == ("5" if rest else "4")


def test_event_without_data_sets_the_last_id() -> None:
    decoder = EventDecoder()
    [event] = decoder.feed(b"id: 5\n\ndata: x\n\n")
    assert (event.id, event.has_id, decoder.last_event_id) == ("5", False, "5")


def test_event_type_applies_to_one_event() -> None:
    assert [event.type for event in _events(b"event: a\n\ndata: x\n\nevent: b\nevent: c\ndata: x\n\n")] == [
        "message",
        "c",
    ]


def test_one_leading_space_is_removed() -> None:
    assert [event.data for event in _events(b"data:  a\n\ndata:\tb\n\ndata: \n\n")] == [" a", "\tb", ""]


@pytest.mark.parametrize(
    ("value", "retry"),
    [
        (b"1500", 1.5),
        (b"0", 0.0),
        (b"9" * 5000, float("inf")),
        (b"", None),
        (b"-1", None),
        (b"1.5", None),
        (b"1 ", None),
        ("\N{ARABIC-INDIC DIGIT ONE}".encode(), None),
    ],
)
def test_retry_accepts_ascii_digits_only(value: bytes, retry: float | None) -> None:
    decoder = EventDecoder()
    assert list(decoder.feed(b"retry: " + value + b"\n")) == []
    assert decoder.retry == retry


def test_unicode_line_separators_do_not_end_a_line() -> None:
    text = "a\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029b"
    assert [event.data for event in _events(f"data: {text}\n\n".encode())] == [text]


@pytest.mark.parametrize("chunk", [b"data: " + b"x" * 60 + b"\n", b"x" * 30, b"data: x\n", b"x\n", b": " + b"x" * 30])
def test_endless_event_raises(chunk: bytes) -> None:
    decoder = EventDecoder(max_event_bytes=100)
    with pytest.raises(EventTooLargeError, match="larger than the limit of 100 bytes"):
        list(chain.from_iterable(decoder.feed(chunk) for _ in range(101)))
    with pytest.raises(EventTooLargeError, match="larger than the limit of 100 bytes"):
        list(decoder.feed(b"\n\ndata: x\n\n"))


@pytest.mark.parametrize("ended", [b"\n\n", b"\n", b""])
def test_events_before_an_oversized_one_are_returned(ended: bytes) -> None:
    decoder = EventDecoder(max_event_bytes=100)
    events: deque[ServerSentEvent] = deque()
    with pytest.raises(EventTooLargeError):
        events.extend(decoder.feed(b"id: 1\ndata: x\n\nid: 2\ndata: y\n\nid: 3\ndata: " + b"z" * 100 + ended))
    assert [event.data for event in events] == ["x", "y"]
    assert decoder.last_event_id == "2"


@pytest.mark.slow
def test_event_at_the_size_limit_is_returned() -> None:
    line = b"data: " + b"x" * (MAX_EVENT_BYTES - 6)
    [event] = _events(line + b"\r\n\r\n")
    assert len(event.data) == MAX_EVENT_BYTES - 6
    with pytest.raises(EventTooLargeError, match="67108864 bytes"):
        _events(line + b"x\r\n\r\n")


@pytest.mark.parametrize("size", [1, 5, 20, 100])
def test_size_limit_excludes_line_ends(size: int) -> None:
    stream = b"data: x\r\n" * 10 + b"\r\n"
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
    decoder = EventDecoder(max_event_bytes=70)
    assert len(list(chain.from_iterable(map(decoder.feed, chunks)))) == 1
    decoder = EventDecoder(max_event_bytes=69)
    with pytest.raises(EventTooLargeError):
        list(chain.from_iterable(map(decoder.feed, chunks)))


def test_pings_do_not_count_towards_the_size_limit() -> None:
    decoder = EventDecoder(max_event_bytes=100)
    for _ in range(200):
        assert list(decoder.feed(b": ping\n\n")) == []
    for _ in range(200):
        assert list(decoder.feed(b": ping\n")) == []
    assert [event.data for event in decoder.feed(b"data: x\n\n")] == ["x"]


def test_unconsumed_events_do_not_affect_the_next() -> None:
    decoder = EventDecoder()
    decoder.feed(b"id: 1\ndata: x\n\nid: 2\ndata: y\n\nid: 3\nda")
    assert [event.data for event in decoder.feed(b"ta: z\n\n")] == ["z"]
    assert decoder.last_event_id == "3"


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [b"x", b"data: xy\ndata: z\n"])
def test_memory_is_bounded_by_the_events_size(chunk: bytes) -> None:
    """However small its chunks and lines are."""
    decoder, pieces = EventDecoder(), 60_000 // len(chunk)
    tracemalloc.start()
    try:
        for _ in range(pieces):
            decoder.feed(chunk)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 1.5 * pieces * len(chunk)
