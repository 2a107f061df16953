"""The embedded server as a process of its own that a test kills and starts again, on the same port and state.

with restartable_server(tmp_path, api_keys=[KEY]) as server:
    client = ClaudeClient(api_key=KEY, base_url=server.base_url)
    ...
    server.kill()    # SIGKILL; returns once nothing that the server had started is left
    server.start()   # the same port, the same state directory
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil

TIMEOUT = 20.0
"""Seconds until something that a test waits for counts as never."""
_ADDRESS = re.compile(r"^export CLAUDE_BASE_URL=(\S+:(\d+)/\S*)$", re.MULTILINE)


class ServerProcess:
    """``claude-code-client serve`` with an environment built from nothing."""

    base_url: str
    """From the first start on; the same after every other."""

    def __init__(self, folder: Path, api_keys: Sequence[str], upstream: str, upstream_key: str | None) -> None:
        self.workspace = folder / "workspace"
        """Where tasks work."""
        self.state_dir = folder / "state"
        self._temporary = folder / "temporary"
        for path in (self.workspace, self._temporary):
            path.mkdir(parents=True, exist_ok=True)
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(self._temporary), "TMPDIR": str(self._temporary)}
        if upstream_key is not None:
            self._environment["ANTHROPIC_API_KEY"] = upstream_key
        self._arguments = [
            f"--workspace={self.workspace}",
            f"--state-dir={self.state_dir}",
            f"--upstream={upstream}",
            *(f"--api-key={key}" for key in api_keys),
        ]
        self._port = 0
        self._log = folder / "server.log"
        self._process: subprocess.Popen[str] | None = None
        self._changing = threading.Lock()
        self._over = False

    def start(self) -> None:
        """Start it; returns once calls are taken. The first start finds a port, the others take the same one."""
        # Another thread may start it again while the test ends.
        with self._changing, self._log.open("a") as log:
            assert self._process is None
            assert not self._over
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", "claude_code_server", "serve", f"--port={self._port}", *self._arguments],
                env=self._environment,
                cwd=self._temporary,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert process.stdout is not None
        said = ""
        while "Press Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, self.errors()
            said += line
        found = _ADDRESS.search(said)
        assert found is not None
        self.base_url, self._port = found[1], int(found[2])

    def kill(self) -> list[psutil.Process]:
        """SIGKILL. Returns once nothing of its process tree is left, with that tree; fails if something stays."""
        tree = self.process_tree()
        self._end(signal.SIGKILL)
        deadline = time.monotonic() + TIMEOUT
        while alive := [process for process in tree if _runs(process)]:
            assert time.monotonic() < deadline, alive
            time.sleep(0.01)
        return tree

    def stop(self) -> int:
        """SIGTERM, which ends it cleanly. The exit code."""
        return self._end(signal.SIGTERM)

    def process_tree(self) -> list[psutil.Process]:
        """All that the server has started and that still runs, without the server itself."""
        assert self._process is not None
        return psutil.Process(self._process.pid).children(recursive=True)

    def errors(self) -> str:
        """What all its processes so far wrote to stderr."""
        return self._log.read_text()

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of its database, from beside the server, which may be down."""
        with closing(sqlite3.connect(f"file:{self.state_dir / 'state.sqlite3'}?mode=ro", uri=True)) as database:
            return database.execute(sql).fetchall()

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        process, self._process = self._process, None
        with process:
            process.send_signal(number)
            return process.wait(TIMEOUT)

    def _clean_up(self) -> None:
        with self._changing:
            self._over = True
        if self._process is None:
            return
        tree = self.process_tree() if self._process.poll() is None else []
        self._end(signal.SIGKILL)
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                process.kill()


def _runs(process: psutil.Process) -> bool:
    """Whether it is more than an entry that nobody has collected yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def server_process(
    folder: Path, *, api_keys: Sequence[str], upstream: str = "offline", upstream_key: str | None = None
) -> Iterator[ServerProcess]:
    """A server that runs already. Its workspace and state are made in ``folder``; in the end it is killed."""
    server = ServerProcess(folder, api_keys, upstream, upstream_key)
    server.start()
    try:
        yield server
    finally:
        server._clean_up()
