"""Embedded server on a real socket in a thread of the test, with a client that checks every response."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from claude_code_server.contract.operations import Contract
from claude_code_server.domain.engine_protocol import Engine
from claude_code_server.domain.settings import Settings
from claude_code_server.process import bootstrap
from claude_code_server.process.server import serve
from claude_code_server.services.container import Services
from support.contract_check import check_response, component

KEY = "sk-proj-test"
OTHER_KEY = "sk-proj-other"


@dataclass(frozen=True)
class Running:
    base_url: str
    services: Services

    def client(self, key: str | None = KEY) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        hooks = {"response": [check_response]}
        return httpx.Client(base_url=self.base_url, headers=headers, timeout=20, event_hooks=hooks, verify=False)

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.base_url)
        assert url.port is not None
        return url.host, url.port


@contextmanager
def serving(
    workspace: Path,
    engine: Engine | None = None,
    *,
    contract: Contract | None = None,
    **settings: Any,
) -> Iterator[Running]:
    """Run a server; ``settings`` are those of ``Settings``."""
    chosen = Settings(**{"workspace": workspace, "api_keys": (KEY, OTHER_KEY), "ping_interval": 5.0, **settings})
    services = Services(chosen, engine, contract=contract)
    sock = bootstrap.bind("127.0.0.1", 0)
    base_url = bootstrap.base_url(sock, tls=chosen.tls_cert is not None)
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(serve(services, sock, ready.set, stop))
        except BaseException as error:
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    ready.wait(10)
    try:
        if not failed:
            yield Running(base_url, services)
    finally:
        if not failed:
            loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        assert not thread.is_alive()
        if failed:
            raise failed[0]


@dataclass(frozen=True)
class Received:
    """Server-sent event."""

    id: int | None
    type: str
    data: dict[str, Any]


def events_of(lines: Iterator[str], schema: str = "TaskEvent") -> Iterator[Received]:
    """Parse the lines of a stream and check every event against the contract; comments have the type ``comment``."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            yield Received(None, "comment", {"text": line})
        elif line:
            name, _, value = line.partition(": ")
            assert name not in fields
            fields[name] = value
        elif fields:
            data = json.loads(fields["data"])
            assert data["type"] == fields["event"]
            assert component(schema, data) is None
            yield Received(int(fields["id"]) if "id" in fields else None, fields["event"], data)
            fields = {}
    assert not fields


def all_events(client: httpx.Client, task_id: str, after: int | None = None) -> list[Received]:
    """Return a task's events up to the end of the stream."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    response = client.get(f"/task/{task_id}/events", headers=headers)
    assert response.status_code == (200 if response.content else 204)
    return [event for event in events_of(iter(response.text.split("\n"))) if event.type != "comment"]
