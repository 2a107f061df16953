"""A stream takes no more memory the longer it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import pytest
from support import raw, wire
from support.follower import following

GROWTH = 10_000_000
"""Bytes."""
AT_ONCE = 500
"""Events in one chunk."""


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
@pytest.mark.timeout(700)
def test_memory_does_not_grow(kind: str, count: int) -> None:
    def handle(request: raw.Request) -> Iterable[bytes]:
        if request.method == "POST":
            return raw.answer(202, wire.task("pending"))
        return _stream(count)

    with raw.serve(raw.RawServer(handle)) as server:
        said = following(kind, server.base_url)
        assert [request.method for request in server.requests] == ["POST", "GET"]
    assert said["events"] == count
    assert said["grown"] < GROWTH
    print(
        f"{kind}: {count} events, {said['grown'] / 1e6:.2f} MB more at the most than after the first, "
        f"{count / said['seconds']:.0f} events a second"
    )


def _stream(count: int) -> Iterator[bytes]:
    """Numbered events, the last one a result."""
    data = json.dumps({"type": "thinking", "timestamp": "2026-11-22T12:00:00.000Z", "content": "%d"})
    event = f"id: %d\nevent: thinking\ndata: {data}\n\n".encode()
    yield from raw.stream(end=False)
    for start in range(1, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        chunk = b"".join(event % (number, number) for number in numbers)
        yield b"%x\r\n%s\r\n" % (len(chunk), chunk)
    last = wire.event(count, "result", content=str(count), status="completed", summary="", result={}, artifacts=[])
    yield b"%x\r\n%s\r\n0\r\n\r\n" % (len(last), last)
