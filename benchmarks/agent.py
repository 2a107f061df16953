"""Time that a task takes on the embedded server beyond what the same query takes through the Agent SDK.

Claude Code is the real one, the model a script on this machine. The key is a dummy, and HOME a temporary directory.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from typing import Any, Final

from support.servers.messages_endpoint import ScriptedMessages, message, tool

from benchmarks.rows import Chart, Row
from benchmarks.sdk_query import MODEL, PROMPT
from benchmarks.timing import in_turn
from claude_code_client import ClaudeClient
from claude_code_server.engine.launch import build_environment

_KEY: Final = "sk-dummy"
_ROUNDS: Final = 16
"""Single rounds differ by more than what is measured: the median of few would say little."""
_TIMEOUT: Final = 30.0
_ROOT: Final = Path(__file__).resolve().parent.parent


def bench_agent() -> tuple[list[Row], list[Chart]]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workspace = directory / "workspace"
        for path in (workspace, *(directory / name for name in ("home", "tmp", "config"))):
            path.mkdir()
        endpoint = stack.enter_context(ScriptedMessages(_reply))
        client = stack.enter_context(ClaudeClient.local(workspace, upstream=endpoint.url, anthropic_api_key=_KEY))
        works = {"sdk": _sdk(directory, workspace, endpoint.url, stack), "task": lambda: _task(client)}
        in_turn(works, 1)
        samples = in_turn(works, _ROUNDS)
    beyond = [(task - sdk) * 1e3 for task, sdk in zip(samples["task"], samples["sdk"], strict=True)]
    low, middle, high = statistics.quantiles(beyond, n=4)
    sdk = statistics.median(samples["sdk"]) * 1e3
    baseline = f"the same query through the Agent SDK ({sdk:.0f} ms); quartiles {low:.0f} and {high:.0f} ms"
    return [Row("task of one Bash call, beyond the SDK", middle, "ms", baseline, 40.0)], []


def _reply(body: dict[str, Any]) -> dict[str, Any]:
    has_run = '"tool_result"' in repr(body["messages"]).replace("'", '"')
    if has_run or not body.get("tools"):
        return message("There are no files.")
    return message(tool("Bash", command="ls | wc -l"))


def _task(client: ClaudeClient) -> float:
    start = time.monotonic()
    task = client.execute_task(PROMPT, allow_tools=["Bash"], model=MODEL, timeout=_TIMEOUT)
    assert task.status == "completed", task
    return time.monotonic() - start


def _sdk(directory: Path, workspace: Path, url: str, stack: ExitStack) -> Callable[[], float]:
    environment = build_environment(os.environ, directory, url=url, key=_KEY)
    process = stack.enter_context(
        Popen(
            [sys.executable, "-m", "benchmarks.sdk_query", str(workspace)],
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            text=True,
            cwd=_ROOT,
            env=environment,
        )
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout
    stack.callback(stdin.close)

    def measure() -> float:
        stdin.write("\n")
        stdin.flush()
        return float(stdout.readline())

    return measure
