"""Followers of a task's event stream on bare sockets, with the helpers of their tests."""

import asyncio
import http.client
import select
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Self, TypeVar

import httpx

from support.servers.embedded_server import KEY, Running

T = TypeVar("T")
SMALL = 4096
"""Size in bytes of a receive buffer that fills up at once."""


class Follower:
    """Follower on a bare socket that reads only when the test does."""

    def __init__(self, server: Running, task_id: str, *, after: int | None = None, buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(20)
        self.socket.connect(server.address)
        last = b"" if after is None else b"Last-Event-ID: %d\r\n" % after
        self.socket.sendall(
            b"GET /v1/task/%b/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n%b\r\n"
            % (task_id.encode(), KEY.encode(), last)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def wait_for_bytes(self) -> None:
        """Wait until the server has sent something; leave it unread."""
        assert select.select([self.socket], [], [], 20)[0]

    def lines(self) -> Iterator[bytes]:
        response = http.client.HTTPResponse(self.socket)
        response.begin()
        assert response.status == 200
        yield from response

    def ids(self) -> list[int]:
        """Return the ids of all events up to the end of the stream, which has to be complete."""
        return [int(line[4:]) for line in self.lines() if line.startswith(b"id: ")]


def start(client: httpx.Client) -> str:
    response = client.post("/task", json={"description": "Do it."}, headers={"Prefer": "respond-async"})
    return str(response.json()["id"])


def ended(client: httpx.Client, task_id: str) -> dict[str, Any]:
    task: dict[str, Any] = client.get(f"/task/{task_id}", headers={"Prefer": "wait=20"}).json()
    assert task["completed_at"]
    return task


def on_loop(server: Running, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on the server's event loop."""
    return asyncio.run_coroutine_threadsafe(work(), server.services.loop).result(20)
