"""Embedded server whose tasks each have thousands of events at once: an engine takes the place of Claude Code."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.common import KEY
from claude_code_server.domain.engine_protocol import CancelToken, EventSink, Outcome, TaskSpec
from claude_code_server.domain.settings import Settings
from claude_code_server.process import bootstrap
from claude_code_server.process.server import serve
from claude_code_server.services.container import Services

EVENTS: Final = 5_000


class _Engine:
    name = "benchmark"

    async def run(self, spec: TaskSpec, events: EventSink, cancellation: CancelToken) -> Outcome:
        for _ in range(EVENTS - 1):  # the terminal event is the last one
            events.emit("thinking", content="Let me see.")
        return Outcome("completed", summary="Done.", result={"summary": "Done."})

    async def aclose(self) -> None:
        return None


async def _serve(workspace: Path) -> None:
    sock = bootstrap.bind("127.0.0.1", 0)
    stop = asyncio.Event()
    services = Services(Settings(workspace=workspace, api_keys=(KEY,)), _Engine())
    port = sock.getsockname()[1]
    serving = asyncio.create_task(serve(services, sock, lambda: print(port, flush=True), stop))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    stop.set()
    await serving


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_serve(Path(directory)))
