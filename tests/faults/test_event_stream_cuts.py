"""Event streams cut at any byte: every event is returned once and in order, from one submit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, get_args

import psutil
import pytest
from support.clients.client_kinds import ClientKind
from support.clients.concurrent_calls import make_client
from support.fault_proxy.exchange import Exchange
from support.fault_proxy.faults import CutResponse, Fault, Way
from support.fault_proxy.proxy import FaultProxy, Port
from support.servers.raw_http import serve
from support.servers.recorded_task import STEPS, UNKNOWN, Recording, record
from support.servers.replay_server import Replay, each_event

pytestmark = pytest.mark.slow

AT_ONCE = 48
WAYS = get_args(Way)
PARTS = 160
"""In the short run each of the four tests takes every 160th byte, from different ones on; the long run takes all."""
STRIDE = 997
"""Bytes between single cuts inside events; a prime number, so that it does not coincide with any structure."""
HEADER = "x-cut-at"
Kind = Literal["sync", "async"]
Event = dict[str, Any]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return record(tmp_path_factory.mktemp("recorded"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("parts", [PARTS, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.timeout(600)
def test_cut_at_every_byte_of_every_event(recording: Recording, both: ClientKind, way: Way, parts: int) -> None:
    """Each stream has hundreds of cuts, at the same byte of every event."""
    whole = _uncut(recording, both)
    longest = max(end - start for start, end in recording.spans[0].values())
    part = (WAYS.index(way) * 2 + (both.kind == "async")) % parts
    covered: set[int] = set()
    with serve(Replay(recording, way)) as replay:
        descriptors = psutil.Process().num_fds()
        client = both.client(replay.base_url)
        for streams, byte in enumerate(range(part, longest, parts), 1):
            cut_before = replay.cut
            replay.cuts = each_event(recording, byte)
            assert list(both.each(client.stream_task("Count"))) == whole, byte
            offsets = {start + byte for start, end in recording.spans[0].values() if byte < end - start}
            assert replay.cut - cut_before == len(offsets)
            assert replay.opened == replay.cut + streams
            assert replay.submits == streams
            covered |= offsets
        both.call(client.close())
        replay.wait_until(lambda: not replay.open)
        assert psutil.Process().num_fds() <= descriptors
    if parts == 1:
        assert covered == recording.inside
    print(
        f"{both.kind}, {way}: {replay.cut} cuts at {len(covered)} of the {len(recording.inside)} bytes of "
        f"{len(whole)} events, in {streams} streams from {replay.submits} submits; {replay.opened} connections"
    )


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("stride", "parts"), [(STRIDE, 8), pytest.param(11, 1, marks=pytest.mark.long)])
@pytest.mark.timeout(600)
def test_cut_once(recording: Recording, proxy: FaultProxy, kind: Kind, way: Way, stride: int, parts: int) -> None:
    """Cut once: at every byte of the head, around chunks and at the end, and at some bytes inside events.

    In the short run each of the four tests takes every eighth of these bytes, each begins at another.
    """
    part = (WAYS.index(way) * 2 + (kind == "async")) % parts
    offsets = sorted({*recording.outside, *range(0, len(recording.whole), stride)})[part::parts]
    with serve(Replay(recording)) as replay:
        port = proxy.open(replay.address, CutOnce(way))
        seen = _follow_all(kind, port, offsets)
        replay.wait_until(lambda: not replay.open)
    whole = seen[-1]
    assert [event["type"] for event in whole].count("result") == 1
    assert len(whole) == STEPS + 1
    assert all(events == whole for events in seen)
    # A cut after the last event is nothing that the client has to know.
    resumed = sum(at < recording.spans[0][STEPS + 1][1] for at in offsets)
    assert (replay.submits, replay.opened) == (len(offsets), len(offsets) + resumed)
    assert port.counts[CutResponse(0, way).name] == len(offsets)
    print(f"{kind}, {way}: {len(offsets)} cuts of {len(recording.whole)} bytes, {resumed} streams resumed")


class CutOnce:
    """Plan that cuts the first stream of each client at the byte that a request header names."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._done: set[int] = set()

    def __call__(self, exchange: Exchange) -> Fault | None:
        at = int(exchange.headers.get(HEADER, -1))
        if not exchange.path.endswith("/events") or at in self._done:
            return None
        self._done.add(at)
        return CutResponse(at, self._way)


def _follow_all(kind: Kind, port: Port, offsets: Sequence[int]) -> list[list[Event]]:
    """Stream the task once per offset, each with its own client; return the events."""

    def client(at: int) -> Any:
        return make_client(kind, port.base_url, timeout=60, headers={HEADER: str(at)})

    def follow(at: int) -> list[Event]:
        with client(at) as here:
            return list(here.stream_task("Count"))

    async def follow_async(at: int, turn: asyncio.Semaphore) -> list[Event]:
        async with turn, client(at) as here:
            return [event async for event in here.stream_task("Count")]

    async def all_of_them() -> list[list[Event]]:
        turn = asyncio.Semaphore(AT_ONCE)
        return await asyncio.gather(*(follow_async(at, turn) for at in offsets))

    if kind == "async":
        return asyncio.run(all_of_them())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(follow, offsets))


def test_recording_covers_all_event_types(recording: Recording, both: ClientKind) -> None:
    events = _uncut(recording, both)
    assert len(events) >= 200
    types = ["thinking", "tool_call", "tool_result", "agent_spawn", "skill_invoke", UNKNOWN, "result"]
    assert sorted(Counter(event["type"] for event in events)) == sorted(types)
    assert events[-1]["type"] == "result"
    assert {"日本 €", "Gezählt: 3 €."} <= {event["content"] for event in events}


def _uncut(recording: Recording, both: ClientKind) -> list[Event]:
    with serve(Replay(recording)) as replay:
        client = both.client(replay.base_url)
        events = list(both.each(client.stream_task("Count")))
        both.call(client.close())
        assert (replay.submits, replay.opened, replay.cut) == (1, 1, 0)
    return events
