"""Odd and huge requests to the model proxy, sent by a task's shell: typed errors, no 500, nothing in the log."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from support.clients.client_kinds import KEY
from support.servers.messages_endpoint import ScriptedMessages, message, tool
from support.servers.server_process import server_process
from support.stalls import Stalls

from claude_code_client import ClaudeClient

PROGRAM = Path(__file__).parents[1] / "support" / "clients" / "odd_calls.py"
CANARY = "value-canary"


@pytest.mark.timeout(120)
def test_odd_model_calls_are_refused_and_the_server_stays_responsive(tmp_path: Path) -> None:
    pauses: list[tuple[float, float]] = []
    """Beginnings and ends of requests."""
    memory: list[int] = []
    over = threading.Event()

    def watch(client: ClaudeClient, process: psutil.Process) -> None:
        while not over.wait(0.1):
            before = time.monotonic()
            client.get_health()
            pauses.append((before, time.monotonic()))
            memory.append(process.memory_info().rss)

    def reply(request: dict[str, object]) -> dict[str, object]:
        text = str(request["messages"])
        if "tool_result" in text:
            return message("Done.")
        return message(tool("Bash", command=f"{sys.executable} {PROGRAM}")) if "<task>" in text else message("hi")

    with (
        ScriptedMessages(reply) as endpoint,
        server_process(tmp_path, api_keys=[KEY], upstream=endpoint.url, upstream_key="sk-real") as server,
        ClaudeClient(api_key=KEY, base_url=server.base_url, timeout=60) as client,
    ):
        process = server.process
        before = process.memory_info().rss
        watcher = threading.Thread(target=watch, args=(client.with_options(timeout=10), process))
        with Stalls() as stalls:
            watcher.start()
            events = list(client.stream_task("Send odd requests.", model="haiku", allow_tools=["Bash"], max_cost=100))
            over.set()
            watcher.join()
        log = server.errors()
    [result] = [event["result"] for event in events if event["type"] == "tool_result"]
    lines = dict(line.rsplit(": ", 1) for line in result.strip().splitlines())
    print(
        result,
        f"pauses {max(ended - began for began, ended in pauses):.2f} s, memory {(max(memory) - before) / 1e6:.0f} MB",
        log,
        sep="\n",
    )
    assert lines.pop("afterwards") == "200 ok"
    assert lines.pop("model unknown") == "403 permission_error"
    assert lines.pop("key in Latin-1") == "401 authentication_error"
    assert lines.pop("30 MB") == "200 ok"
    for name in ("300 MB", "300 MB in chunks"):
        # A client that does not read before it has sent everything may find the connection closed.
        assert lines.pop(name) in ("413 request_too_large", "ConnectionResetError", "RemoteDisconnected")
    assert set(lines.values()) == {"400 invalid_request_error"}, lines
    assert len(lines) > 15
    assert CANARY not in log
    assert "Traceback" not in log
    assert max(memory) - before < 450e6
    assert max(ended - began - stalls.allowance(began, ended) for began, ended in pauses) < 1
