"""Task of the embedded server with events of every type, recorded byte for byte."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from claude_code_server.domain.engine_protocol import Outcome
from support.clients.client_kinds import KEY
from support.servers.embedded_server import serving
from support.servers.scripted_engine import Emitted, Gate, ScriptedEngine, calls, says

STEPS = 204
"""Events before the terminal one."""
UNKNOWN = "pondered"
"""Event type that no version of the client knows."""
_TIMEOUT = 10.0
_MARK = "hmm"


@dataclass(frozen=True)
class Recording:
    task_id: str
    submitted: bytes
    """Response to the submit."""
    streams: Mapping[int, bytes]
    """Complete event streams by Last-Event-ID; 0 without one."""

    @property
    def whole(self) -> bytes:
        """Response with all events, from the status line to the last chunk."""
        return self.streams[0]

    @cached_property
    def spans(self) -> Mapping[int, Mapping[int, tuple[int, int]]]:
        """Start and end of each event, blank line included, by its id; for each stream."""
        return {after: _spans(stream) for after, stream in self.streams.items()}

    @property
    def inside(self) -> set[int]:
        """Offsets in ``whole`` that lie inside an event, its start included."""
        return {offset for start, end in self.spans[0].values() for offset in range(start, end)}

    @property
    def outside(self) -> set[int]:
        """Offsets in ``whole`` that lie in the head, around chunks or at the end."""
        return set(range(len(self.whole) + 1)) - self.inside


def _spans(stream: bytes) -> dict[int, tuple[int, int]]:
    return {int(event[1]): event.span() for event in re.finditer(rb"id: (\d+)\nevent: .*\ndata: .*\n\n", stream)}


def record(folder: Path) -> Recording:
    """Run a task on a server and record its responses."""
    gate = Gate()
    engine = ScriptedEngine(gate, *_steps(), _OUTCOME)
    with serving(folder, engine, api_keys=(KEY,)) as running, _Wire(running.address) as wire:
        body = json.dumps({"description": "Count"}).encode()
        headers = {"Content-Type": "application/json", "Prefer": "respond-async"}
        submitted, response = wire.exchange("POST /v1/task", headers, body)
        task_id = str(json.loads(response)["id"])
        gate.open()
        path = f"/v1/task/{task_id}"
        wire.exchange(f"GET {path}", {"Prefer": "wait=10"})
        streams = {
            after: wire.exchange(f"GET {path}/events", {"Last-Event-ID": str(after)} if after else {})[0]
            for after in range(STEPS + 2)
        }
    return Recording(task_id, submitted, {after: _renamed(stream) for after, stream in streams.items()})


class _Wire:
    """Connection to the server."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, _TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def exchange(self, target: str, headers: Mapping[str, str], body: bytes = b"") -> tuple[bytes, bytes]:
        """Send a request; return the bytes of the response and of its body."""
        head = {"Host": "localhost", "Authorization": f"Bearer {KEY}", "Content-Length": str(len(body)), **headers}
        lines = [f"{target} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        self._socket.sendall("\r\n".join(lines).encode() + body)
        response = b""
        while not _is_whole(response):
            piece = self._socket.recv(65536)
            assert piece, response
            response += piece
        return response, response.partition(b"\r\n\r\n")[2]


def _is_whole(response: bytes) -> bool:
    head, end, body = response.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 204 "):
        return bool(end)
    length = re.search(rb"(?i)^content-length: (\d+)", head, re.MULTILINE)
    return len(body) == int(length[1]) if length else (b"\r\n" + body).endswith(b"\r\n0\r\n\r\n")


_OUTCOME = Outcome("completed", summary="Gezählt: 3 €.", result={"summary": "Gezählt: 3 €."})


def _steps() -> Iterator[Emitted]:
    for number in range(STEPS):
        match number % 12:
            case 1:
                yield calls("Bash", command="ls")
            case 2:
                result = {"tool": "Bash", "call_id": "call_Bash", "status": "success", "result": "a é\n"}
                yield Emitted("tool_result", {"content": "ok", **result})
            case 4:
                yield says(_MARK)
            case 5:
                yield Emitted("agent_spawn", {"content": "+", "agent": "explorer", "reason": "😀"})
            case 8:
                yield Emitted("skill_invoke", {"content": "+", "skill": "count", "input": "x"})
            case 10:
                yield says("日本 €")
            case _:
                yield says(f"{number}")


def _renamed(stream: bytes) -> bytes:
    """Rename some events to the unknown type, which is as long as the type that it replaces."""
    marked = rb'event: thinking\n(data: .*)"thinking"(.*"content":"%s")' % _MARK.encode()
    return re.sub(marked, rb'event: %s\n\1"%s"\2' % (UNKNOWN.encode(), UNKNOWN.encode()), stream)
