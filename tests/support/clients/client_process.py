"""Process that makes one call with a client, to be interrupted or killed by a test.

It reports its progress on stdout, one line each: ``event`` for every event, ``id`` with the task's id, ``new`` or
``old`` with the index of each result of a batch, ``done`` at the end, and ``at`` before the step named in ``pause``,
where it then stays.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import psutil

from claude_code_client import AsyncClaudeClient, ClaudeClient
from support.clients import program
from support.clients.client_kinds import KEY
from support.clients.executors import StuckExecutor
from support.fork_server import ForkedProcess
from support.stalls import in_time

TIMEOUT = 20.0
"""Seconds that tests wait for something before they fail."""
WORKER_KEY = "WORKER_TEST_KEY"
"""Environment variable in which the workers of executors find the key."""
_MODULE = "support.clients.client_process"


@dataclass
class ClientProcess:
    """Running process and the lines that it printed."""

    process: subprocess.Popen[str] | ForkedProcess
    lines: SimpleQueue[str]

    def wait_for(self, word: str) -> str:
        """Return the rest of the next line that starts with ``word``; fail if there is none."""
        limit = time.monotonic() + TIMEOUT
        while True:
            try:
                line = self.lines.get(timeout=max(limit - time.monotonic(), 0.001))
            except Empty:
                raise AssertionError(f"the client process never printed {word}") from None
            first, _, rest = line.partition(" ")
            if first == word:
                return rest
            assert line, f"the client process ended before it printed {word}"

    def interrupt(self, within: float = TIMEOUT) -> tuple[int, str]:
        """Send SIGINT; return the exit code and the stderr of the process, which has to end in time."""
        with in_time(within):
            self.process.send_signal(signal.SIGINT)
            code = self.process.wait(TIMEOUT)
        assert self.process.stderr is not None
        return code, self.process.stderr.read()

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        self.process.kill()
        assert self.process.wait(TIMEOUT) == -signal.SIGKILL


@contextmanager
def client_process(
    kind: str, base_url: str, call: str, task: dict[str, Any], **options: Any
) -> Iterator[ClientProcess]:
    """Run a process that makes one call; it is killed at the end of the ``with`` block."""
    client = {"api_key": KEY, "base_url": base_url, "timeout": 60}
    if options.get("executor", "threads") != "threads":
        task = {**task, "worker_key": WORKER_KEY}
    if "journal" in options:
        client["journal"] = options["journal"]
    arguments = {"kind": kind, "client": client, "call": call, "task": task, **options}
    process = program.start(_MODULE, json.dumps(arguments))
    lines: SimpleQueue[str] = SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line.rstrip("\n"))
        lines.put("")

    with process:
        reader = Thread(target=read)
        reader.start()
        try:
            yield ClientProcess(process, lines)
        finally:
            process.kill()
            process.wait(TIMEOUT)
            reader.join(TIMEOUT)


# ---- in the process


def _report(*words: object) -> None:
    print(*words, flush=True)


def _pause(options: dict[str, Any], step: str, at: int) -> None:
    """Stop for ever before the ``at``-th connect, or opening of the journal."""
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if step == "connect":
            hit = event == "socket.connect"
        else:
            hit = event == "open" and str(arguments[0]) == options["journal"]
        count += hit
        if hit and count == at:
            _report("at", step)
            threading.Event().wait()

    sys.addaudithook(hook)


def _call(options: dict[str, Any]) -> None:
    with ClaudeClient(**options["client"]) as client:
        match options["call"]:
            case "execute_task":
                client.execute_task(**options["task"])
            case "stream_task":
                for _ in client.stream_task(**options["task"]):
                    _report("event")
                    if options.get("linger"):
                        threading.Event().wait()
            case "recover":
                for handle in client.recover():
                    _report("id", handle.id, handle.wait().status)
            case "submit_task":
                for task in _tasks(options):
                    handle = client.submit_task(**task)
                    _report("id", handle.id)
                    handle.detach() if options.get("detach") else handle.wait()
            case "map_completions" | "map_tasks" as name:
                with _executor(options) as executor:
                    for result in getattr(client, name)(_items(options), executor=executor, **options["task"]):
                        _report_result(result)
                        if options.get("linger"):
                            threading.Event().wait()


async def _call_async(options: dict[str, Any]) -> None:
    async with AsyncClaudeClient(**options["client"]) as client:
        match options["call"]:
            case "execute_task":
                await client.execute_task(**options["task"])
            case "stream_task":
                async for _ in client.stream_task(**options["task"]):
                    _report("event")
                    if options.get("linger"):
                        await asyncio.Event().wait()
            case "recover":
                for handle in await client.recover():
                    _report("id", handle.id, (await handle.wait()).status)
            case "submit_task":
                for task in _tasks(options):
                    handle = await client.submit_task(**task)
                    _report("id", handle.id)
                    handle.detach() if options.get("detach") else await handle.wait()
            case "map_completions" | "map_tasks" as name:
                with _executor(options) as executor:
                    async for result in getattr(client, name)(_items(options), executor=executor, **options["task"]):
                        _report_result(result)
                        if options.get("linger"):
                            await asyncio.Event().wait()


@contextmanager
def _executor(options: dict[str, Any]) -> Iterator[Any]:
    """Connect to the Dask scheduler, or the Ray cluster, at the address ``executor``; or start ``"threads"``.

    ``"stuck:submit"`` and ``"stuck:cancel"`` print ``stuck`` for each chunk.
    """
    address = options.get("executor")
    if address is None:
        yield None
        return
    if address == "threads":
        with ThreadPoolExecutor(2) as threads:
            yield threads
        return
    if address.startswith("stuck:"):
        yield StuckExecutor(address.removeprefix("stuck:"), lambda: _report("stuck"))
        return
    if address.startswith("ray:"):
        sys.path.append(str(Path(__file__).parents[3] / "examples"))
        from ray_executor import RayExecutor

        ray: Any = importlib.import_module("ray")
        ray.init(address.removeprefix("ray:"), log_to_driver=False)
        yield RayExecutor()
        ray.shutdown()
        return
    distributed: Any = importlib.import_module("distributed")
    with distributed.Client(address) as dask:
        yield dask.get_executor()


def _items(options: dict[str, Any]) -> Iterator[Any]:
    """Yield the ``items``, or as many numbered prompts as ``times``."""
    return iter(options["items"]) if "items" in options else (f"Say {number}" for number in range(options["times"]))


def _report_result(result: Any) -> None:
    """Report a result: ``new`` or ``old``, then its index; or ``failed``. Every thousandth also ``rss``, in MiB."""
    _report("failed" if not result.ok else "old" if result.resumed else "new", result.index)
    if result.index % 1000 == 999:
        _report("rss", psutil.Process().memory_info().rss >> 20)


def _tasks(options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the task, or as many numbered tasks as ``times``."""
    task = options["task"]
    if "times" not in options:
        return [task]
    return [{**task, "description": f"{task['description']} {number}"} for number in range(options["times"])]


def _main(options: dict[str, Any]) -> None:
    if "pause" in options:
        _pause(options, *options["pause"])
    if options["kind"] == "sync":
        _call(options)
    else:
        asyncio.run(_call_async(options))
    _report("done")
    if options.get("stay"):
        threading.Event().wait()


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
