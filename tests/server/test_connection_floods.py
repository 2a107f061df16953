"""Floods of connections without a key: the server keeps its memory, its tasks, its log and its other clients."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from support.clients.raw_connection import RawConnection, head, task_head
from support.processes import eventually
from support.servers.server_process import ServerProcess, server_process

from claude_code_client import ClaudeClient

pytestmark = pytest.mark.slow

KEY = "sk-proj-test"
MB = 1_000_000
SOON = 10.0
"""Seconds in which a client with a key is served, on a busy machine."""


@contextmanager
def flood(server: ServerProcess, count: int, data: bytes) -> Iterator[list[RawConnection]]:
    """Open connections that send ``data`` and then nothing more."""
    connections = []
    try:
        for _ in range(count):
            # The server may reset a connection that it has no place for.
            with suppress(ConnectionError):
                connections.append(RawConnection(server.address, timeout=SOON))
                connections[-1].send(data)
        yield connections
    finally:
        for connection in connections:
            connection.close()


def served_soon(server: ServerProcess) -> None:
    started = time.monotonic()
    headers = {"Authorization": f"Bearer {KEY}"}
    assert httpx.get(f"{server.base_url}/models", headers=headers, timeout=SOON, verify=False).status_code == 200
    assert time.monotonic() - started < SOON


def test_bodies_without_a_key_use_no_memory(tmp_path: Path) -> None:
    with server_process(tmp_path, api_keys=[KEY]) as server:
        served_soon(server)
        before = server.process.memory_info().rss
        peak = [0]
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.05):
                peak[0] = max(peak[0], server.process.memory_info().rss)

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            with flood(server, 40, task_head("wrong", 10 * MB)) as connections:
                for connection in connections:
                    with suppress(ConnectionError, TimeoutError):
                        connection.send(b"x" * 9 * MB)
                served_soon(server)
        finally:
            done.set()
            watching.join()
        print(f"RSS grew by {(peak[0] - before) / MB:.0f} MB")
        assert peak[0] - before < 50 * MB
        assert len(server.errors()) < 2000


def test_half_open_requests_leave_descriptors_for_tasks(tmp_path: Path) -> None:
    with server_process(tmp_path, api_keys=[KEY], open_files=400) as server:
        with ClaudeClient(api_key=KEY, base_url=server.base_url) as client:
            (server.workspace / "app.py").write_text("x = 1\n")
            client.get_usage()
            with flood(server, 480, head()[:-1]):
                served_soon(server)
                task = client.execute_task("Count the Python files", allow_tools=["Glob", "Bash"])
                assert task.status == "completed"
                used = server.process.cpu_times()
                served_soon(server)
                time.sleep(1)  # No event: the server must have nothing to do.
                assert sum(server.process.cpu_times()[:2]) - sum(used[:2]) < 0.7
        assert len(server.errors()) < 2000, server.errors()[:4000]


@pytest.mark.parametrize("limit", [300, pytest.param(1000, marks=pytest.mark.long)])
def test_a_slowloris_keeps_no_keyed_client_out_and_is_closed(tmp_path: Path, limit: int) -> None:
    with server_process(tmp_path, api_keys=[KEY], options=[f"--max-connections={limit}"]) as server:
        served_soon(server)
        idle = server.process.num_fds()
        before = server.process.memory_info().rss
        with flood(server, limit, head()[:-2]) as dripping:
            served_soon(server)
            for connection in dripping[: limit // 2]:
                # One byte more, as a slowloris sends now and then.
                with suppress(ConnectionError):
                    connection.send(b"\r")
            served_soon(server)
            with flood(server, 2 * limit, head()[:-1]):
                served_soon(server)
                assert server.process.num_fds() < idle + limit + 20
                grown = server.process.memory_info().rss - before
                print(f"RSS grew by {grown / MB:.0f} MB")
                assert grown < limit * MB / 10
                started = time.monotonic()
                eventually(lambda: server.process.num_fds() <= idle + 10)
                print(f"closed after {time.monotonic() - started:.1f} s")
        assert len(server.errors()) < 2000


def test_a_server_without_descriptors_recovers_and_logs_little(tmp_path: Path) -> None:
    with server_process(tmp_path, api_keys=[KEY]) as server:
        with ClaudeClient(api_key=KEY, base_url=server.base_url) as client:
            client.execute_task("Count the Python files")  # Everything has been imported.
        # The server has decided on its number of connections: something else uses its descriptors up.
        limit = server.process.num_fds() + 5
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
        with flood(server, 200, head()[:-1]):
            for _ in range(5):
                served_soon(server)
            used = sum(server.process.cpu_times()[:2])
            time.sleep(1)  # No event: the server must have nothing to do.
            assert sum(server.process.cpu_times()[:2]) - used < 0.7
        assert "open files" in server.errors()
        assert len(server.errors()) < 2000, server.errors()[:4000]
