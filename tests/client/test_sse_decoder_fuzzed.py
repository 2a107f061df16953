"""Decoder of server-sent events against a reference parser, on generated streams."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.reference_event_source import EventSource, utf8_decode

from claude_code_common.sse import EventDecoder, EventTooLargeError, ServerSentEvent

pytestmark = pytest.mark.timeout(300)

FEW = 80
MANY = 20_000

_pieces = [b"x", b"7", b" ", b":", b"\0", b"\t", b"{}", b"data", "é".encode(), "€".encode(), "\U0001f600".encode()]
_no_ends = [b"\xef\xbb\xbf", b"\x0b", b"\x1c", b"\xc2\x85", b"\xe2\x80\xa8"]
"""A byte order mark that is not at the start, and separators that do not end a line."""
_no_utf8 = [b"\xff", b"\x80", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"]
_text = st.lists(st.sampled_from([*_pieces, *_no_ends, *_no_utf8]), max_size=6).map(b"".join)
_digits = st.integers(0, 10**20).map(lambda number: b"%d" % number)
_usual = st.sampled_from([b"data", b"data", b"event", b"id", b"retry"])
_name = st.one_of(_usual, _usual, st.sampled_from([b"", b"Data", b"data ", b" data", b"other"]))
_value = st.one_of(_text, _digits, st.builds(bytes.__add__, _digits, _text))
_field = st.builds(lambda *parts: b"".join(parts), _name, st.sampled_from([b":", b": ", b":  "]), _value)
_line = st.one_of(_field, _field, _name, _text, st.just(b""))
_end = st.sampled_from([b"\n", b"\r", b"\r\n"])
_lines = st.builds(lambda *parts: b"".join(parts), _line, st.one_of(_end, _end, st.just(b"")))
_event = st.builds(
    lambda lines, data, end: b"".join(line + end for line in [*lines, b"data: " + data, b""]),
    st.lists(_field, max_size=3),
    _text,
    _end,
)
_start = st.sampled_from([b"", b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf", b"\xef\xbb", b"\xfe\xff"])
_written = st.builds(
    lambda start, parts: start + b"".join(parts), _start, st.lists(st.one_of(_event, _lines, _lines), max_size=16)
)
_streams = st.one_of(_written, _written, _written, st.binary(max_size=60))
_limits = st.one_of(st.just(1 << 20), st.integers(6, 60))


@st.composite
def _split(draw: st.DrawFn) -> list[bytes]:
    """Split a stream into chunks, some of them empty."""
    stream = draw(_streams)
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def _decode(chunks: list[bytes], limit: int = 1 << 20) -> tuple[list[ServerSentEvent], str, float | None, str]:
    """Return events, last event id, retry field and the error that ended the stream."""
    decoder = EventDecoder(limit)
    events: list[ServerSentEvent] = []
    try:
        for chunk in chunks:
            events.extend(decoder.feed(chunk))
    except EventTooLargeError as error:
        return events, decoder.last_event_id, decoder.retry, str(error)
    return events, decoder.last_event_id, decoder.retry, ""


def _splits_do_not_matter(chunks: list[bytes], limit: int) -> None:
    stream = b"".join(chunks)
    whole = _decode([stream], limit)
    assert _decode(chunks, limit) == whole
    assert _decode([stream[at : at + 1] for at in range(len(stream))], limit) == whole


def _both_agree(stream: bytes) -> None:
    events, last_event_id, retry, problem = _decode([stream])
    source = EventSource.of(stream)
    assert events == source.events
    assert last_event_id == source.last_event_id
    assert retry == (None if source.reconnection_time is None else pytest.approx(source.reconnection_time / 1000))
    assert not problem


@pytest.mark.slow
@pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_any_split_gives_the_same_events(examples: int) -> None:
    _run(given(_split(), _limits)(_splits_do_not_matter), examples)


@pytest.mark.slow
@pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_decoder_agrees_with_the_reference(examples: int) -> None:
    _run(given(_streams)(_both_agree), examples)


def _run(test: Callable[[], None], examples: int) -> None:
    settings(max_examples=examples)(test)()


@pytest.mark.slow
@given(st.binary(max_size=40))
@example(b"\xf0\x9f\x98\xf0\x9f\x98\x80\xe0\x80\x80\xed\xa0\x80\xf5\xc3")
def test_reference_decodes_utf8_like_python(data: bytes) -> None:
    """The reference parser relies on this."""
    assert utf8_decode(data) == data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
