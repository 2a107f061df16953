"""Memory of a long stream, which does not grow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import pytest
from support.clients.stream_process import run_stream
from support.servers import raw_http, responses

pytestmark = pytest.mark.slow

GROWTH = 2_000_000
"""Bytes."""
AT_ONCE = 500
"""Events in one chunk."""


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("count", [15_000, pytest.param(1_000_000, marks=pytest.mark.long)])
@pytest.mark.timeout(700)
def test_memory_does_not_grow_with_the_stream(kind: str, count: int) -> None:
    def handle(request: raw_http.Request) -> Iterable[bytes]:
        if request.method == "POST":
            return raw_http.response(202, responses.task("pending"))
        return _stream(count)

    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        said = run_stream(kind, server.base_url)
        assert [request.method for request in server.requests] == ["POST", "GET"]
    assert said["events"] == count
    assert said["grown"] < GROWTH
    print(
        f"{kind}: {count} events, {said['grown'] / 1e6:.2f} MB more at the most than after the first, "
        f"{count / said['seconds']:.0f} events a second"
    )


def _stream(count: int) -> Iterator[bytes]:
    """Send numbered events and a terminal one."""
    data = json.dumps({"type": "thinking", "timestamp": "2026-11-22T12:00:00.000Z", "content": "%d"})
    event = f"id: %d\nevent: thinking\ndata: {data}\n\n".encode()
    yield from raw_http.event_stream(end=False)
    for start in range(1, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        chunk = b"".join(event % (number, number) for number in numbers)
        yield b"%x\r\n%s\r\n" % (len(chunk), chunk)
    last = responses.event(count, "result", content=str(count), status="completed", summary="", result={}, artifacts=[])
    yield b"%x\r\n%s\r\n0\r\n\r\n" % (len(last), last)
