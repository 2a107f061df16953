"""Log in JSON: every line is an object with IDs, and none has a prompt, a key or the content of a file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.canaries import KEY, MARK, PROMPT
from support.servers.messages_endpoint import Failure, Reply, ScriptedMessages, message, tool

from claude_code_server.domain.api_key import hash_key
from claude_code_server.domain.audit import key_id
from claude_code_server.process import cli

UPSTREAM_KEY = "sk-ant-CANARY-upstream"
TOKEN = "CANARY-metrics-token"


class LoggingServer:
    """``serve --log-json`` in a process, with its log."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.text = ""
        self._read_until_ready()
        self.url: str = self.lines[-1]["url"]
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0
        self._reader.join(10)

    def _read_until_ready(self) -> None:
        assert self.process.stderr is not None
        while not self.lines or self.lines[-1]["message"] != "ready":
            self._add(self.process.stderr.readline())

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._add(line)

    def _add(self, line: str) -> None:
        self.text += line
        self.lines.append(json.loads(line))


@contextmanager
def logging_server(folder: Path, upstream: str) -> Iterator[LoggingServer]:
    (folder / "workspace").mkdir()
    (folder / "home").mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "home"),
        "CLAUDE_API_KEY": KEY,
        "ANTHROPIC_API_KEY": UPSTREAM_KEY,
        "CLAUDE_SERVER_METRICS_TOKEN": TOKEN,
    }
    arguments = ["--log-json", "--port=0", f"--workspace={folder / 'workspace'}", f"--state-dir={folder / 'state'}"]
    with subprocess.Popen(
        [sys.executable, "-m", "claude_code_server", "serve", *arguments, f"--upstream={upstream}"],
        env=environment, cwd=folder / "home", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        try:
            yield LoggingServer(process)
        finally:
            process.kill()
            assert process.stdout is not None
            assert process.stdout.read() == "", "everything is in the log"


@pytest.mark.slow
def test_a_whole_run_leaves_ids_and_no_content(tmp_path: Path) -> None:
    replies: list[Reply] = [
        message(tool("Read", file_path="notes.txt")),
        message(tool("Bash", command=f"echo {PROMPT}"), f"I run {PROMPT}"),
        message(f"Done with {PROMPT}"),
        message(f"A reply with {PROMPT}"),
        Failure(400, "invalid_request_error", f"the upstream quotes {PROMPT}"),
    ]
    with ScriptedMessages(replies) as endpoint, logging_server(tmp_path, endpoint.url) as server:
        (tmp_path / "workspace" / "notes.txt").write_text(f"content {MARK}-file")
        with httpx.Client(
            base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=40, verify=False
        ) as client:
            body = {"description": PROMPT, "model": "haiku", "allow_tools": ["Read"], "context": {"a": PROMPT}}
            task = client.post("/task", json=body).json()
            assert task["status"] == "completed"
            turns = [{"role": "user", "content": PROMPT}]
            question = {"messages": turns, "model": "haiku"}
            completion = client.post("/chat/completions", json=question, headers={"Idempotency-Key": f"{MARK}-1"})
            assert completion.status_code == 200
            assert client.post("/chat/completions", json=question).status_code == 400
            client.post("/task", json={"description": PROMPT, PROMPT: 1, "allow_tools": [PROMPT]})
            client.post("/task", content=f'{{"{PROMPT}')
            client.get(f"/task/{PROMPT}", headers={"X-Request-Id": PROMPT})
            client.get(f"/{PROMPT}?{PROMPT}")
            client.get("/models", headers={"Authorization": f"Bearer {KEY}-wrong"})
            client.get("/models", headers={"Host": f"{MARK}.example"})
            assert client.get(f"/task/{task['id']}").status_code == 200
        server.stop()
    assert MARK not in server.text
    key = key_id(hash_key(KEY))
    requests = [line for line in server.lines if line["message"] == "request"]
    assert all(line["request_id"].startswith("req_") for line in requests)
    first = requests[0]
    assert (first["route"], first["method"], first["status"]) == ("/v1/task", "POST", 200)
    assert (first["key"], first["task_id"]) == (key, task["id"])
    assert {(line["route"], line["status"]) for line in requests} >= {
        ("/v1/chat/completions", 200), ("/v1/task/{task_id}", 404), ("none", 404), ("/v1/models", 401), ("none", 403),
    }  # fmt: skip
    [submitted] = [line for line in server.lines if line["message"] == "task submitted"]
    assert (submitted["request_id"], submitted["tools"]) == (first["request_id"], ["Read"])
    [ended] = [line for line in server.lines if line["message"] == "task ended"]
    assert (ended["task_id"], ended["key"], ended["status"]) == (task["id"], key, "completed")
    assert ended["cost"] == task["usage"]["total_cost"]
    assert ended["used"] == {"Read": 1, "Bash": 1}, "it asked for Bash, and was refused"


@pytest.mark.slow
def test_what_other_libraries_and_exceptions_say_is_left_out() -> None:
    program = f"""
import asyncio, logging, sys, threading, warnings
from claude_code_server.runtime.json_logging import log_as_json, set_log_ids
log_as_json(sys.stderr)
logging.getLogger("asyncio").error("Task exception was never retrieved: {PROMPT}")
logging.getLogger("other").warning("value: %s", "{PROMPT}")
try:
    raise ValueError("{PROMPT}")
except ValueError:
    logging.getLogger("claude_code_server.x").exception("it failed")
warnings.warn("{PROMPT}")
def work():
    raise ValueError("{PROMPT}")
thread = threading.Thread(target=work); thread.start(); thread.join()
set_log_ids(request_id="req_1")
logging.getLogger("claude_code_server.x").warning("line one\\nline two")
raise ValueError("{PROMPT}")
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.stdout == ""
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert MARK not in "".join(result.stderr.splitlines()), result.stderr
    assert lines[2]["exception"].startswith("ValueError\n")
    assert (lines[-2]["request_id"], lines[-2]["message"]) == ("req_1", "line one\nline two")
    assert len(lines) == 7


def test_a_server_that_shows_no_key_needs_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLAUDE_API_KEY", raising=False)
    monkeypatch.setattr(cli, "log_as_json", lambda _: None)
    assert cli.run_foreground(["--log-json", "--port=0", f"--workspace={tmp_path}"]) == 1
