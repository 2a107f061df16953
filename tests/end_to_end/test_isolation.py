"""Isolation of the server from the commands of a task, which run as the same user."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from support.clients.client_kinds import KEY
from support.processes import eventually
from support.servers.messages_endpoint import ScriptedMessages, message, tool
from support.servers.server_process import server_process

from claude_code_client import ClaudeClient

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have neither of the means")

CANARY = ("sk-ant-", "CANARY-0123456789")
"""Key of the upstream, in two parts, so that the search for it does not find itself."""
WITHOUT_PRIVILEGE = ("setpriv", "--bounding-set=-sys_ptrace") if os.getuid() == 0 else ()
"""Launcher that gives root no more access to other processes than an ordinary user has to their own."""
SEARCH = f"""
import sys
key, folder = {CANARY[0]!r}.encode() + {CANARY[1]!r}.encode(), "/proc/%s" % sys.argv[1]
try:
    print("environment", "found" if key in open(folder + "/environ", "rb").read() else "clean")
except OSError as error:
    print("environment", error.strerror)
try:
    found = False
    memory = open(folder + "/mem", "rb", 0)
    for line in open(folder + "/maps"):
        first, last = (int(part, 16) for part in line.split()[0].split("-"))
        if " rw" in line:
            memory.seek(first)
            try:
                found = found or key in memory.read(last - first)
            except (OSError, OverflowError):
                pass
    print("memory", "found" if found else "clean")
except OSError as error:
    print("memory", error.strerror)
"""


def test_bash_reads_the_upstream_key_neither_from_the_environment_nor_from_memory(tmp_path: Path) -> None:
    with ExitStack() as stack:
        endpoint = stack.enter_context(ScriptedMessages([]))
        server = stack.enter_context(
            server_process(
                tmp_path,
                api_keys=[KEY],
                upstream=endpoint.url,
                upstream_key="".join(CANARY),
                launcher=WITHOUT_PRIVILEGE,
            )
        )
        (server.workspace / "search.py").write_text(SEARCH)
        client = stack.enter_context(ClaudeClient(api_key=KEY, base_url=server.base_url))
        command = f"{sys.executable} search.py {server.pid}"
        replies = iter([message(tool("Bash", command=command)), message("Done.")])
        endpoint.reply = lambda _: next(replies)
        task = client.execute_task("Look.", allow_tools=["Bash"])
        assert task.status == "completed", task.error
        [result] = [entry["result"] for entry in task.execution_log if entry["action"] == "tool_result"]
        environment, memory = result.split("\n")
        assert environment in ("environment Permission denied", "environment clean")
        assert memory == "memory Permission denied"
        assert {request.headers["x-api-key"] for request in endpoint.requests} == {"".join(CANARY)}
        # Not even a privileged user finds the key in what the kernel shows of the start.
        if os.getuid() == 0:
            assert CANARY[1].encode() not in Path(f"/proc/{server.pid}/environ").read_bytes()
            assert CANARY[1].encode() not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
        assert server.stop() == 0
        assert server.errors() == ""


def test_children_of_a_killed_supervisor_end_with_the_task(tmp_path: Path) -> None:
    command = (
        "(trap '' TERM HUP; sleep 300) & echo $! >> pids; env -i setsid sleep 300 & echo $! >> pids; sleep 0.2;"
        " kill -9 $(ps -o ppid= -p $CLAUDE_PID)"
    )
    with ExitStack() as stack:
        endpoint = stack.enter_context(ScriptedMessages([message(tool("Bash", command=command))]))
        server = stack.enter_context(server_process(tmp_path, api_keys=[KEY], upstream=endpoint.url))
        client = stack.enter_context(ClaudeClient(api_key=KEY, base_url=server.base_url, timeout=40))
        task = client.execute_task("Do it.", allow_tools=["Bash"])
        assert task.status == "failed"
        pids = [int(line) for line in (server.workspace / "pids").read_text().split()]
        assert len(pids) == 2
        left = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
        for process in left:
            process.kill()
        assert left == []
        # A killed process stays until the kernel has freed its memory.
        eventually(lambda: server.process_tree() == [])
        endpoint.reply = lambda _: message("Fine.")
        assert client.execute_task("Do more.").status == "completed"
        assert server.stop() == 0
        assert "child process" not in server.errors()
