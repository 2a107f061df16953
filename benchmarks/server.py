"""CPU that requests cost the embedded server's process."""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from subprocess import PIPE, Popen
from typing import Final

from benchmarks.common import BODY, KEY, PATH
from benchmarks.event_server import EVENTS
from benchmarks.offline_server import offline_server
from benchmarks.rows import Chart, Row
from benchmarks.timing import cpu_of_process, in_turn, ratio
from claude_code_client import ClaudeClient

_BARE: Final = "bare Starlette route on h11"
_OURS: Final = "create_completion, offline"
_ROUNDS: Final = 30
_REQUESTS: Final = 30
"""Requests of a round. With many short ones, the disk and what else runs disturb some ratios, but not their median."""
_WARM_UP: Final = 300
"""Requests before, after which the write-ahead log of the database has its size."""
_TIMEOUT: Final = 10.0
_ONE_AT_A_TIME: Final = 10
"""Tasks that are followed one after another: one takes little CPU."""
_FOLLOWERS: Final = 200
_REMAINING: Final = 500
"""Events that each of many followers reads."""


def bench_server() -> tuple[list[Row], list[Chart]]:
    with ExitStack() as stack:
        workspace = stack.enter_context(tempfile.TemporaryDirectory())
        local = stack.enter_context(offline_server(workspace))
        bare_port, bare_pid = stack.enter_context(_program("benchmarks.bare_server"))
        own_port = int(local.base_url.rsplit(":", 1)[1].partition("/")[0])
        works = {
            _BARE: _cpu_of_request(bare_port, bare_pid, KEY),
            _OURS: _cpu_of_request(own_port, local.pid, local.api_key),
        }
        samples = in_turn(works, _ROUNDS)
    bare = statistics.median(samples[_BARE])
    row = Row(_OURS, ratio(samples, _OURS, _BARE), "", f"{_BARE} ({bare * 1e6:.0f} µs)", 2.5)
    return [row, *_followers()], []


def _followers() -> list[Row]:
    with _program("benchmarks.event_server") as (port, pid):
        with ClaudeClient(KEY, f"http://127.0.0.1:{port}/v1", timeout=100) as client:
            # A task for each: what several followers of one task read, the server encodes once.
            tasks = [client.execute_task("Count").id for _ in range(_ONE_AT_A_TIME + 1)]

        def speed(tasks: list[str], followers: int, events: int) -> float:
            start = cpu_of_process(pid)
            received = sum(asyncio.run(_follow(port, task, followers, after=EVENTS - events)) for task in tasks)
            assert received == len(tasks) * followers * events, received
            return received / (cpu_of_process(pid) - start)

        speed(tasks[:1], 1, EVENTS)
        one, many = speed(tasks[1:], 1, EVENTS), speed(tasks[:1], _FOLLOWERS, _REMAINING)
    unit, baseline = "events/s", "per CPU second of the server"
    return [
        Row("server: events to one follower", one, unit, baseline, 20_000, at_least=True),
        Row(f"server: events to {_FOLLOWERS} followers of one task", many, unit, baseline, 50_000, at_least=True),
    ]


def _cpu_of_request(port: int, pid: int, key: str) -> Callable[[], float]:
    body = json.dumps(BODY)

    def exchange(connection: socket.socket) -> None:
        # Each request is new work: a repeated Idempotency-Key would get the response of the first.
        connection.sendall(
            f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nIdempotency-Key: {uuid.uuid4()}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        received = connection.recv(65536)
        while b"\r\n\r\n" not in received or not received.endswith(b"}"):
            part = connection.recv(65536)
            assert part, received
            received += part
        assert received.startswith(b"HTTP/1.1 200"), received

    def measure(requests: int = _REQUESTS) -> float:
        start = cpu_of_process(pid)
        with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT) as connection:
            for _ in range(requests):
                exchange(connection)
        return (cpu_of_process(pid) - start) / requests

    measure(_WARM_UP)
    return measure


async def _follow(port: int, task: str, followers: int, *, after: int) -> int:
    """Return the number of events that followers of a task receive, on connections without any HTTP library."""
    cursor = f"Last-Event-ID: {after}\r\n" if after else ""
    request = (
        f"GET /v1/task/{task}/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {KEY}\r\n"
        f"Accept: text/event-stream\r\n{cursor}Connection: close\r\n\r\n"
    ).encode()

    async def follow() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        received = await reader.read()
        writer.close()
        return received.count(b"\nevent: ")

    return sum(await asyncio.gather(*(follow() for _ in range(followers))))


@contextmanager
def _program(module: str) -> Iterator[tuple[int, int]]:
    """Run a server that prints its port, and ends when its stdin is closed; yield the port and the PID."""
    with Popen([sys.executable, "-m", module], stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline()), process.pid
        finally:
            process.stdin.close()
