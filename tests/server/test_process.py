"""The server as a process: `serve` in the foreground, and the child that a client starts for itself."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import httpx
import psutil
import pytest
from support import fork_server
from support.contract_check import check_response
from support.fork_server import ForkedProcess
from support.servers.embedded_server import events_of
from support.servers.messages_endpoint import ScriptedMessages, message, tool

pytestmark = pytest.mark.slow

KEY = "sk-proj-test"
REAL_KEY = "sk-ant-real-key"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    (folder / "src").mkdir(parents=True)
    for name in ("a.py", "b.py", "c.txt"):
        (folder / "src" / name).write_text("x = 1\n")
    return folder


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Directory for the temporary files of a test's servers."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


class Process:
    """A server process with an environment built from nothing, ended with the ``with`` block."""

    def __init__(self, temporary: Path, *arguments: str, forked: bool = True, **environment: str) -> None:
        """``forked``: from a process that has imported the server, where that is possible."""
        env = {"PATH": os.environ["PATH"], "HOME": str(temporary), "TMPDIR": str(temporary), **environment}
        self.process: subprocess.Popen[str] | ForkedProcess
        if forked and fork_server.AVAILABLE:
            self.process = ForkedProcess(fork_server.SERVER, arguments, env=env, cwd=temporary, stdin=True)
            return
        self.process = subprocess.Popen(
            [sys.executable, "-m", fork_server.SERVER, *arguments],
            env=env,
            cwd=temporary,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        family = self.family()
        self.process.kill()
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def family(self) -> list[psutil.Process]:
        if self.process.poll() is not None:
            return []
        return psutil.Process(self.process.pid).children(recursive=True)

    def configure(self, **settings: Any) -> dict[str, str]:
        """Send the child's configuration and return its response."""
        self._stdin.write(json.dumps(settings) + "\n")
        self._stdin.flush()
        return self.read_response()

    def read_response(self) -> dict[str, str]:
        assert self.process.stdout is not None
        response: dict[str, str] = json.loads(self.process.stdout.readline())
        return response

    def hang_up(self) -> None:
        self._stdin.close()

    def banner(self) -> str:
        """Return the output of `serve` up to its last line."""
        assert self.process.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("Press Ctrl-C"):
            lines.append(self.process.stdout.readline())
            assert lines[-1], self.process.stderr and self.process.stderr.read()
        return "".join(lines)

    def end(self, timeout: float = 10) -> tuple[int, str]:
        """Wait for the process to exit by itself; return its exit code and stderr."""
        code = self.process.wait(timeout)
        assert self.process.stderr is not None
        return code, self.process.stderr.read()

    @property
    def _stdin(self) -> IO[str]:
        assert self.process.stdin is not None
        return self.process.stdin


@contextlib.contextmanager
def client_of(base_url: str, key: str = KEY) -> Iterator[httpx.Client]:
    hooks = {"response": [check_response]}
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=base_url, headers=headers, event_hooks=hooks, timeout=30, verify=False) as client:
        yield client


def setup_of(folder: Path, **changed: Any) -> dict[str, Any]:
    return {
        "workspace": str(folder),
        "upstream": None,
        "api_keys": [KEY],
        "anthropic_api_key": None,
        "model": None,
        "state_dir": None,
        **changed,
    }


def address_in(banner: str) -> str:
    found = re.search(r"^export CLAUDE_BASE_URL=(http://127\.0\.0\.1:\d+/v1)$", banner, re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_signal_stops_a_busy_server_cleanly(workspace: Path, temporary: Path, number: signal.Signals) -> None:
    started = workspace / "started"
    os.mkfifo(started)
    script = [message(tool("Bash", command="echo yes >started; sleep 97"))]
    with (
        ScriptedMessages(script) as endpoint,
        Process(
            temporary, "serve", "--port", "0", "--workspace", str(workspace), "--upstream", endpoint.url,
            CLAUDE_API_KEY=KEY, ANTHROPIC_API_KEY=REAL_KEY,
        ) as server,
    ):  # fmt: skip
        banner = server.banner()
        assert f"export CLAUDE_API_KEY={KEY}" in banner
        assert str(workspace) in banner
        assert endpoint.url in banner
        assert REAL_KEY not in banner
        with client_of(address_in(banner)) as client:
            task = client.post("/task", json={"description": "Sleep"}, headers={"Prefer": "respond-async"}).json()
            with client.stream("GET", f"/task/{task['id']}/events") as response:
                events = (event for event in events_of(response.iter_lines()) if event.type != "comment")
                assert next(events).data["tool"] == "Bash"
                assert started.read_text() == "yes\n"
                family = server.family()
                assert len(family) >= 3
                assert any(temporary.iterdir())
                os.kill(server.process.pid, number)
                last = list(events)[-1]
                assert (last.type, last.data["status"]) == ("result", "cancelled")
        code, errors = server.end()
        assert (code, errors) == (0, "")
        assert [one for one in family if _runs(one)] == []
        assert list(temporary.iterdir()) == []


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_default_is_offline_with_a_random_key(workspace: Path, temporary: Path) -> None:
    with Process(temporary, "serve", "--port", "0", "--workspace", str(workspace), forked=False) as server:
        banner = server.banner()
        assert "offline (rules instead of a language model" in banner
        assert "WARNING" not in banner
        found = re.search(r"^export CLAUDE_API_KEY=(sk-proj-\S{20,})$", banner, re.MULTILINE)
        assert found
        with client_of(address_in(banner), found[1]) as client:
            assert client.get("/models").status_code == 200
            assert client.get("/health").json()["engine"] == "claude-code"
        with client_of(address_in(banner)) as client:
            assert client.get("/models").status_code == 401
        server.process.send_signal(signal.SIGINT)
        assert server.end() == (0, "")
        assert list(temporary.iterdir()) == []


def test_state_survives_restarts_and_belongs_to_one_server(workspace: Path, temporary: Path) -> None:
    state = temporary.parent / "state"
    arguments = ["serve", "--port", "0", "--workspace", str(workspace), "--state-dir", str(state), "--api-key", KEY]
    ask = {"messages": [{"role": "user", "content": "Hi"}]}
    replies = set()
    for _ in range(2):
        with Process(temporary, *arguments) as server:
            with client_of(address_in(server.banner())) as client:
                reply = client.post("/chat/completions", json=ask, headers={"Idempotency-Key": "k"})
                replies.add(reply.json()["id"])
                assert client.get("/usage").json()["models"][0]["requests"] == 1
            with Process(temporary, *arguments) as second:
                code, errors = second.end()
            assert code == 1
            assert errors == f"claude-code-client serve: another server uses the state directory {state}\n"
            server.process.send_signal(signal.SIGTERM)
            assert server.end() == (0, "")
    assert len(replies) == 1


def test_a_child_serves_until_its_stdin_is_closed(workspace: Path, temporary: Path) -> None:
    with Process(temporary, "child") as child:
        response = child.configure(**setup_of(workspace))
        assert response.keys() == {"base_url", "upstream"}
        assert response["upstream"] == "offline"
        os.kill(child.process.pid, signal.SIGINT)
        with client_of(response["base_url"]) as client:
            body = {"description": "Count Python files in src/", "allow_tools": ["Bash"]}
            assert "2 Python files" in client.post("/task", json=body).json()["result"]["summary"]
        child.hang_up()
        assert child.end() == (0, "")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_child_stops_at_a_signal(workspace: Path, temporary: Path, number: signal.Signals) -> None:
    with Process(temporary, "child") as child:
        child.configure(**setup_of(workspace))
        child.process.send_signal(number)
        assert child.end() == (0, "")
    assert list(temporary.iterdir()) == []


def test_a_child_ends_with_its_parent(workspace: Path, temporary: Path) -> None:
    parent = """
import json, os, signal, subprocess, sys
command = [sys.executable, "-m", "claude_code_server", "child"]
child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdin.write(sys.argv[1].encode() + b"\\n")
child.stdin.flush()
child.stdout.readline()
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {"PATH": os.environ["PATH"], "HOME": str(temporary), "TMPDIR": str(temporary)}
    ended = subprocess.run(
        [sys.executable, "-c", parent, json.dumps(setup_of(workspace))],
        env=environment, capture_output=True, text=True, timeout=20, cwd=temporary,
    )  # fmt: skip
    assert ended.returncode == -signal.SIGKILL
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(ended.stdout)).wait(10)
    assert list(temporary.iterdir()) == []


def test_the_real_key_stays_with_the_child(workspace: Path, temporary: Path) -> None:
    script = [message(tool("Bash", command="env; cat /proc/$PPID/environ")), message("Seen.")]
    with (
        ScriptedMessages(script) as endpoint,
        Process(temporary, "child", forked=False, ANTHROPIC_AUTH_TOKEN="sk-ant-other") as child,
    ):
        response = child.configure(
            **setup_of(workspace, upstream=endpoint.url, anthropic_api_key=REAL_KEY, model="haiku")
        )
        with client_of(response["base_url"]) as client:
            task = client.post("/task", json={"description": "Look", "allow_tools": ["Bash"]}).json()
        assert task["status"] == "completed"
        assert "ANTHROPIC_API_KEY=sk-task-" in json.dumps(task)
        seen = _everything(child.process.pid, temporary)
        child.hang_up()
        code, errors = child.end()
    assert code == 0
    assert {request.headers["x-api-key"] for request in endpoint.requests} == {REAL_KEY}
    assert endpoint.requests[0].body["model"] == "claude-haiku-5-5"
    for key in (REAL_KEY, "sk-ant-other", KEY):
        assert key not in json.dumps(task)
    for key in (REAL_KEY, KEY):
        assert key not in errors
        assert [name for name, data in seen.items() if key.encode() in data] == []


def _everything(pid: int, temporary: Path) -> Mapping[str, bytes]:
    """Return all data of a process and its files that others could read."""
    files = {str(path): path.read_bytes() for path in temporary.rglob("*") if path.is_file()}
    assert any(name.endswith("state.sqlite3") for name in files)
    for name in ("cmdline", "environ"):
        with contextlib.suppress(PermissionError):  # the server denies inspection to all but a privileged user
            files[name] = Path(f"/proc/{pid}/{name}").read_bytes()
    return files


Changed = dict[str, Any]


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"workspace": "/nowhere"}, "/nowhere is not a directory"),
        ({"api_keys": None}, "JSON object"),
        ({"upstream": "anthropic"}, "ANTHROPIC_API_KEY"),
        ({"state_dir": "/dev/null/x"}, "/dev/null/x"),
    ],
)
def test_a_child_that_cannot_start_reports_the_reason(
    workspace: Path, temporary: Path, changed: dict[str, Any], part: str
) -> None:
    with Process(temporary, "child") as child:
        response = child.configure(**setup_of(workspace, **changed))
        assert response.keys() == {"error"}
        assert part in response["error"]
        assert "\n" not in response["error"]
        assert child.end() == (2, "")


def test_a_child_without_a_first_line_exits(temporary: Path) -> None:
    with Process(temporary, "child") as child:
        child.hang_up()
        assert "JSON object" in child.read_response()["error"]
        assert child.end()[0] == 2


def test_importing_the_server_is_cheap_and_independent_of_the_client() -> None:
    code = """
import sys, claude_code_server, claude_code_server.process.cli, claude_code_server.process.child
heavy = {"starlette", "uvicorn", "httpx", "jsonschema", "claude_agent_sdk", "sqlite3"} & set(sys.modules)
import claude_code_server.http.app, claude_code_server.process.server, claude_code_server.engine.claude_code
print(sorted(heavy), [name for name in sys.modules if name.startswith(("claude_code_client", "claude_agent_sdk"))])
"""
    response = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    assert response.stdout.strip() == "[] []"


def test_usage_of_the_module(temporary: Path) -> None:
    with Process(temporary, "nonsense") as process:
        code, errors = process.end()
        assert code == 2
        assert errors.startswith("usage: python -m claude_code_server")


def test_concurrent_children_are_separate_servers(workspace: Path, temporary: Path) -> None:
    with ThreadPoolExecutor(3) as threads, Process(temporary, "child") as one, Process(temporary, "child") as other:
        response = list(threads.map(lambda child: child.configure(**setup_of(workspace)), (one, other)))
        assert response[0]["base_url"] != response[1]["base_url"]
        for child in (one, other):
            child.hang_up()
            assert child.end() == (0, "")
