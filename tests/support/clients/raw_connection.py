"""Connection on a bare socket, for requests that HTTP libraries cannot send: half, slow, ambiguous or pipelined."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Mapping
from typing import Any, Self

import attrs


@attrs.frozen
class RawResponse:
    """Response with a JSON body."""

    status: int
    headers: Mapping[str, str]
    """Names are lower case."""
    body: Any

    @property
    def error_type(self) -> str:
        return str(self.body["error"]["type"])


class RawConnection:
    """Connection that sends the bytes it is given."""

    def __init__(self, address: tuple[str, int], data: bytes = b"", timeout: float = 20) -> None:
        self.socket = socket.create_connection(address, timeout=timeout)
        self._file = self.socket.makefile("rb")
        self.send(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def readable(self) -> bool:
        """Return whether the server has sent something that was not read yet."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def response(self) -> RawResponse:
        """Read one response; the connection can be used further."""
        status = int(self._file.readline().split()[1])
        headers: dict[str, str] = {}
        while line := self._file.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return RawResponse(status, headers, json.loads(self._file.read(int(headers["content-length"]))))

    def ended(self) -> bool:
        """Wait until the server has closed the connection without sending anything more; return False if it sends."""
        try:
            return self._file.read(1) == b""
        except ConnectionError:
            return True


def head(path: str = "/v1/health", method: str = "GET", *, host: str = "localhost", **headers: str) -> bytes:
    """Return the head of a request; underscores in the names of headers stand for hyphens."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def task_head(key: str, size: int, **headers: str) -> bytes:
    """Return the head of a request that creates a task with a body of ``size`` bytes."""
    return head("/v1/task", "POST", Authorization=f"Bearer {key}", Content_Length=str(size), **headers)
