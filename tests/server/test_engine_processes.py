"""Nothing that a run starts outlives it, however it ends."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import httpx
import psutil
import pytest
from support.processes import eventually, processes_of
from support.servers.claude_code_bench import Bench, Event, Run, bench
from support.servers.messages_endpoint import Hang, Script, ScriptedMessages, message, tool
from support.servers.server_process import ServerProcess, server_process

from claude_code_server.engine.claude_code import ClaudeCodeEngine

pytestmark = pytest.mark.slow

KEY = "sk-proj-test"
# In the background, in a session of its own, one that ignores SIGTERM, with nohup, and forked twice.
STRAYS = """
sleep 300 & echo $! >> pids
setsid sleep 300 & echo $! >> pids
(trap '' TERM HUP; sleep 300) & echo $! >> pids
nohup sleep 300 >/dev/null 2>&1 & echo $! >> pids
(setsid sh -c 'trap "" HUP; sleep 300 & echo $! >> pids' &)
while [ $(wc -l < pids) -lt 5 ]; do sleep 0.01; done
"""
COUNT = 5


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    yield
    leftovers = processes_of(tmp_path)
    try:
        assert leftovers == []
        assert list((tmp_path / "state").iterdir()) == []
    finally:
        for process in leftovers:
            process.kill()


def pids(made: Bench | ServerProcess) -> list[int]:
    noted = made.workspace / "pids"
    return [int(word) for word in noted.read_text().split()] if noted.exists() else []


def alive(made: Bench | ServerProcess) -> list[int]:
    return [pid for pid in pids(made) if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]


def test_background_processes_end_with_the_task(tmp_path: Path) -> None:
    async def main() -> None:
        async with bench(tmp_path, [message(tool("Bash", command=STRAYS)), message("Done.")]) as made:
            running: list[bool] = []

            def look(event: Event) -> None:
                if event["type"] == "tool_result":
                    running.extend(psutil.pid_exists(pid) for pid in pids(made))

            run = await made.run(on_event=look)
            assert run.ended.summary == "Done."
            assert running == [True] * COUNT
            assert not [pid for pid in pids(made) if psutil.pid_exists(pid)]

    asyncio.run(main())


@pytest.mark.parametrize("reason", ["cancelled", pytest.param("timeout", marks=pytest.mark.long)])
def test_cancelling_during_a_command(tmp_path: Path, reason: Literal["cancelled", "timeout"]) -> None:
    async def main() -> None:
        async with bench(
            tmp_path, [message("Waiting.", tool("Bash", command=STRAYS + "wait")), message("No.")]
        ) as made:
            run = Run(made.spec())
            running = asyncio.create_task(made.engine.run(run.spec, run, run.cancellation))
            await asyncio.to_thread(eventually, lambda: len(pids(made)) == COUNT)
            run.cancellation.cancel(reason)
            async with asyncio.timeout(15):
                end = await running
            assert end.status == reason
            assert end.usage.input_tokens == 100
            assert [artifact.path for artifact in end.artifacts] == ["pids"]
            assert len(made.endpoint.requests) == 1

    asyncio.run(main())


@pytest.mark.parametrize("when", ["before", "starting", "asking"])
def test_cancelling_while_no_command_runs(tmp_path: Path, when: str) -> None:
    async def main() -> None:
        async with bench(tmp_path, [Hang()]) as made:
            run = Run(made.spec())
            if when == "before":
                run.cancellation.cancel("cancelled")
                made.engine = ClaudeCodeEngine(made.proxy, made.state, cli=Path("/bin/false"))
            running = asyncio.create_task(made.engine.run(run.spec, run, run.cancellation))
            if when == "starting":
                await asyncio.to_thread(eventually, lambda: processes_of(tmp_path))
            if when == "asking":
                assert await asyncio.to_thread(made.endpoint.requested.wait, 10)
            run.cancellation.cancel("cancelled")
            async with asyncio.timeout(15):
                assert (await running).status == "cancelled"
            assert made.endpoint.requests == [] if when == "before" else len(made.endpoint.requests) <= 1

    asyncio.run(main())


def test_aborting_a_run(tmp_path: Path) -> None:
    async def main() -> None:
        async with bench(tmp_path, [Hang()]) as made:
            running = asyncio.create_task(made.run())
            assert await asyncio.to_thread(made.endpoint.requested.wait, 10)
            running.cancel()
            async with asyncio.timeout(15):
                with pytest.raises(asyncio.CancelledError):
                    await running
            assert processes_of(made.state) == []

    asyncio.run(main())


def test_an_event_sink_that_raises_ends_the_run(tmp_path: Path) -> None:
    def refuse(event: Event) -> None:
        raise OSError("no space left")

    async def main() -> None:
        async with bench(tmp_path, [message(tool("Bash", command="true")), Hang()]) as made:
            with pytest.raises(OSError, match="no space left"):
                await made.run(on_event=refuse)

    asyncio.run(main())


def test_killing_claude_code_fails_the_task(tmp_path: Path) -> None:
    script: list[Any] = [message(tool("Bash", command=STRAYS + "kill -9 $CLAUDE_PID")), message("Never.")]

    async def main() -> None:
        async with bench(tmp_path, script) as made:
            end = (await made.run()).ended
            assert end.status == "failed"
            assert end.error is not None
            assert end.error[0] == "server_error"

    asyncio.run(main())


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_no_child_of_bash_survives_the_server(tmp_path: Path, how: Literal["stop", "kill"]) -> None:
    script: Script = [message(tool("Bash", command=STRAYS + "wait"))]
    with (
        ScriptedMessages(script) as endpoint,
        server_process(tmp_path, api_keys=[KEY], upstream=endpoint.url, upstream_key="sk-ant-dummy") as server,
        httpx.Client(base_url=server.base_url, headers={"Authorization": f"Bearer {KEY}"}, verify=False) as client,
    ):
        body = {"description": "Do it.", "allow_tools": ["Bash"]}
        client.post("/task", json=body, headers={"Prefer": "respond-async"})
        eventually(lambda: len(pids(server)) == COUNT)
        assert len(alive(server)) == COUNT
        if how == "stop":
            assert server.stop() == 0
            assert alive(server) == []
        else:
            began = time.monotonic()
            server.kill()
            eventually(lambda: not alive(server))
            took = time.monotonic() - began
            print(f"all ended {took:.1f} s after SIGKILL")
            assert took < 10
            # Left for the next server.
            server.start()
            server.stop()
        for file in (tmp_path / "state").iterdir():
            assert not file.name.startswith("run-")
            file.unlink()


OWN = """
import os, subprocess, threading
import psutil
from claude_code_server.engine.orphans import collect, kill_orphans
from claude_code_server.runtime import own_processes
from claude_code_server.runtime.process_control import adopt_orphans

adopt_orphans()
codes = []
command = ["/bin/sh", "-c", "/bin/sleep 0.3"]
own = threading.Thread(target=lambda: codes.append(own_processes.run(command, {}, None, 9).returncode))
own.start()
orphan = subprocess.Popen(["sleep", "300"])
while own.is_alive():
    kill_orphans(lambda process: False)
print(codes, psutil.pid_exists(orphan.pid))
ending = subprocess.Popen(["sleep", "300"])
ending.kill()
os.waitid(os.P_PID, ending.pid, os.WEXITED | os.WNOWAIT)
stopped = kill_orphans(lambda process: False)
print(stopped == [ending.pid], kill_orphans(lambda process: False))
collect(stopped)
print(psutil.pid_exists(ending.pid))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
def test_processes_of_the_server_itself_are_no_orphans(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    done = subprocess.run([sys.executable, "-c", OWN], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "[0] False\nTrue []\nFalse\n"
