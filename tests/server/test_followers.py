"""Many, slow, late and disconnecting followers of tasks: their events, and their cost for the server."""

import asyncio
import contextlib
import itertools
import socket
import struct
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from support.clients.socket_followers import SMALL, Follower, ended, on_loop, start
from support.servers.embedded_server import all_events, serving
from support.servers.scripted_engine import DONE, Gate, ScriptedEngine, says
from support.stalls import in_time

pytestmark = pytest.mark.slow


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


def test_clients_that_do_not_read_block_nobody_and_cost_little_memory(workspace: Path, gate: Gate) -> None:
    count, size = 150, 100_000
    engine = ScriptedEngine(gate, *itertools.repeat(says("x" * size), count), DONE)
    with serving(workspace, engine) as server, server.client() as client, contextlib.ExitStack() as stack:
        task_id = start(client)

        def silent() -> Follower:
            follower = stack.enter_context(Follower(server, task_id, buffer=SMALL))
            follower.wait_for_bytes()
            return follower

        followers = [silent() for _ in range(10)]
        tracemalloc.start()
        stack.callback(tracemalloc.stop)
        gate.open()
        with Follower(server, task_id) as reading:
            assert reading.ids() == list(range(1, count + 2))
        tracemalloc.reset_peak()
        followers += [silent() for _ in range(10)]
        for _ in range(10):
            assert client.get("/health").status_code == 200
        _, peak = tracemalloc.get_traced_memory()
        assert peak < 25e6
        tracemalloc.stop()
        assert followers[0].ids() == followers[-1].ids() == list(range(1, count + 2))


@pytest.mark.parametrize("count", [150, pytest.param(500, marks=pytest.mark.long)])
def test_hundreds_of_followers_receive_the_same_events(workspace: Path, gate: Gate, count: int) -> None:
    steps = [says(f"step {number}") for number in range(60)]
    with (
        serving(workspace, ScriptedEngine(*steps[:40], gate, *steps[40:], DONE)) as server,
        server.client() as client,
        contextlib.ExitStack() as stack,
    ):
        task_id = start(client)
        followers = [stack.enter_context(Follower(server, task_id)) for _ in range(count)]
        for follower in followers:
            follower.wait_for_bytes()
        began = time.monotonic()
        gate.open()
        assert ended(client, task_id)["status"] == "completed"
        seen = {b"".join(line for line in follower.lines() if line != b": ping\n") for follower in followers}
        print(f"20 events for {count} followers in {time.monotonic() - began:.1f} s")
        [stream] = seen
        ids = [int(line[4:]) for line in stream.splitlines() if line.startswith(b"id: ")]
        assert ids == list(range(1, 62))


def test_late_followers_receive_exactly_the_rest(workspace: Path, gate: Gate) -> None:
    engine = ScriptedEngine(*itertools.repeat(says("a"), 150), gate, *itertools.repeat(says("b"), 150), DONE)
    with serving(workspace, engine) as server, server.client() as client, ThreadPoolExecutor(8) as threads:
        task_id = start(client)
        assert gate.reached.wait(15)
        starts = (0, 1, 99, 100, 149, 150)
        with contextlib.ExitStack() as stack:
            made = [stack.enter_context(Follower(server, task_id, after=after)) for after in starts]
            for follower in made:
                follower.wait_for_bytes()
            reading = [threads.submit(follower.ids) for follower in made]
            gate.open()
            for after, one in zip(starts, reading, strict=True):
                assert one.result(20) == list(range(after + 1, 302))
        for after in (0, 100, 299, 300, 301):
            assert [event.id for event in all_events(client, task_id, after)] == list(range(after + 1, 302))
        assert [event.type for event in all_events(client, task_id, 300)] == ["result"]


def test_pings_arrive_at_their_interval_between_events(workspace: Path, gate: Gate) -> None:
    with serving(workspace, ScriptedEngine(says("a"), gate), ping_interval=0.1) as server, server.client() as client:
        began = time.monotonic()
        with Follower(server, start(client)) as follower:
            lines = follower.lines()
            assert next(lines) == b"id: 1\n"
            pings = list(itertools.islice((line for line in lines if line.startswith(b":")), 5))
            took = time.monotonic() - began
        assert pings == [b": ping\n"] * 5
        assert 0.5 <= took < 10


def test_disconnected_followers_leave_nothing_behind(workspace: Path, gate: Gate) -> None:
    engine = ScriptedEngine(*itertools.repeat(says("x" * 100_000), 100), gate, DONE)

    async def tasks() -> int:
        return len(asyncio.all_tasks())

    async def blocks_no_checkpoint() -> bool:
        [(busy, _, _)] = server.services.store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return bool(busy == 0)

    with serving(workspace, engine) as server, server.client() as client:
        task_id = start(client)
        assert gate.reached.wait(15)
        before = on_loop(server, tasks)
        with contextlib.ExitStack() as stack:
            waiting = [stack.enter_context(Follower(server, task_id, after=100)) for _ in range(10)]
            blocked = [stack.enter_context(Follower(server, task_id, buffer=SMALL)) for _ in range(10)]
            for follower in (*waiting, *blocked):
                follower.wait_for_bytes()
            assert on_loop(server, tasks) >= before + 20
            assert on_loop(server, blocks_no_checkpoint)
            for follower in (*waiting[::2], *blocked[::2]):
                follower.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        deadline = time.monotonic() + 10
        while on_loop(server, tasks) > before:
            assert time.monotonic() < deadline
        gate.open()
        assert ended(client, task_id)["status"] == "completed"


def test_a_fast_follower_does_not_starve_others(workspace: Path) -> None:
    count = 2_000
    engine = ScriptedEngine(*itertools.repeat(says("x"), count), DONE)
    reads: list[int] = []
    turn = itertools.count()

    async def note_turns() -> None:
        """Record the turn of the event loop in which events are read."""
        now = 0

        def note(sql: str) -> None:
            if "FROM events" in sql:
                reads.append(now)

        connections = list(server.services.store._pool._idle)
        for connection in connections:
            connection.set_trace_callback(note)
        try:
            async with asyncio.timeout(20):
                while len(reads) < count // 100:
                    now = next(turn)
                    await asyncio.sleep(0)
        finally:
            for connection in connections:
                connection.set_trace_callback(None)

    with serving(workspace, engine) as server, server.client() as client:
        # Another task, so that the store has a connection, but no events of the task have been read.
        with Follower(server, start(client)) as follower:
            follower.ids()
        task_id = start(client)
        assert ended(client, task_id)["status"] == "completed"
        noting = asyncio.run_coroutine_threadsafe(note_turns(), server.services.loop)
        with Follower(server, task_id) as follower:
            assert len(follower.ids()) == count + 1
        noting.result(20)
    assert max(reads.count(turn) for turn in reads) == 1


def test_shutdown_ends_the_streams(workspace: Path, gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    engine = ScriptedEngine(*itertools.repeat(says("x" * 100_000), 100), gate)
    with contextlib.ExitStack() as stack, contextlib.ExitStack() as stopping:
        with serving(workspace, engine, shutdown_grace=1.0) as server, server.client() as client:
            task_id = start(client)
            assert gate.reached.wait(15)
            for _ in range(5):
                stack.enter_context(Follower(server, task_id, buffer=SMALL)).wait_for_bytes()
            reading = stack.enter_context(Follower(server, task_id, after=99))
            lines = reading.lines()
            assert next(lines) == b"id: 100\n"
            stopping.enter_context(in_time(5))
        stopping.close()
        assert caplog.records == []
        rest = list(lines)
        assert b"id: 101\n" in rest
        assert any(line.startswith(b'data: {"type":"result"') and b'"status":"cancelled"' in line for line in rest)


def test_only_get_opens_an_event_stream(workspace: Path) -> None:
    with serving(workspace, ScriptedEngine(DONE)) as server, server.client() as client:
        task_id = start(client)
        for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
            response = httpx.request(
                method, f"{server.base_url}/task/{task_id}/events", headers=client.headers, verify=False
            )
            assert (response.status_code, response.headers["allow"]) == (405, "GET")
