"""HTTP server for benchmarks, in a process of its own, so that its CPU does not count as the client's."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen
from typing import Final

TASK: Final = {
    "id": "task_1",
    "status": "completed",
    "result": {"summary": "Done."},
    "artifacts": [],
    "execution_log": [],
    "usage": {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17, "cost": 0.25},
    "created_at": "2026-01-01T00:00:00Z",
    "completed_at": "2026-01-01T00:00:06Z",
}
COMPLETION: Final = {
    "id": "cmpl_1",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "text", "text": "Python is a language."}],
    "model": "claude-sonnet-5-5",
    "stop_reason": "end_turn",
    "usage": TASK["usage"],
}


def _response(status: int, body: object) -> bytes:
    data = json.dumps(body).encode()
    return b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(data),
        data,
    )


_COMPLETION: Final = _response(200, COMPLETION)
_SUBMITTED: Final = _response(202, {**TASK, "status": "pending", "result": {}, "completed_at": None})
_ENDED: Final = _response(200, TASK)
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: (\d+)")


class _Connection(asyncio.Protocol):
    """Responds to whole requests, without parsing more of them than that."""

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._received, 0, end + 2)
        if len(self._received) < end + 4 + (int(length[1]) if length else 0):
            return
        request, self._received = self._received, b""
        if request.startswith(b"GET "):
            asyncio.get_running_loop().call_later(self._hold, self._transport.write, _ENDED)
        else:
            self._transport.write(_SUBMITTED if request.startswith(b"POST /v1/task ") else _COMPLETION)


@contextmanager
def loopback_server(hold: float = 0.0) -> Iterator[str]:
    """Run the server; yield its base URL. It holds every GET for ``hold`` seconds, as a long poll is held."""
    with Popen([sys.executable, __file__, str(hold)], stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.stdin.close()


async def _serve(hold: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(hold), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
