"""Embedded server in a process that a test can kill and restart, on the same port and state.

with restartable_server(tmp_path, api_keys=[KEY]) as server:
    client = ClaudeClient(api_key=KEY, base_url=server.base_url)
    ...
    server.kill()    # SIGKILL; returns when every process that the server started has ended
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
from typing import IO

import psutil

from support import fork_server
from support.fork_server import ForkedProcess

TIMEOUT = 20.0
"""Seconds that tests wait for something before they fail."""
_ADDRESS = re.compile(r"^export CLAUDE_BASE_URL=(\S+:(\d+)/\S*)$", re.MULTILINE)


class ServerProcess:
    """``claude-code-client serve`` with an environment built from nothing."""

    base_url: str
    """Set by the first start and the same after every restart."""

    def __init__(
        self,
        folder: Path,
        api_keys: Sequence[str],
        upstream: str,
        upstream_key: str | None,
        options: Sequence[str],
        open_files: int | None,
        launcher: Sequence[str],
    ) -> None:
        self.workspace = folder / "workspace"
        """Directory in which tasks work."""
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
            *options,
        ]
        self._open_files = open_files
        self._launcher = launcher
        self._port = 0
        self._log = folder / "server.log"
        self._process: subprocess.Popen[str] | ForkedProcess | None = None
        self._changing = threading.Lock()
        self._over = False

    def start(self) -> None:
        """Start the server and return when it is ready. The first start chooses a free port, restarts reuse it."""
        # Another thread may restart the server while the test ends.
        with self._changing, self._log.open("a") as log:
            assert self._process is None
            assert not self._over
            process = self._process = self._spawn(log)
        assert process.stdout is not None
        output = ""
        while "Press Ctrl-C" not in output:
            line = process.stdout.readline()
            assert line, self.errors()
            output += line
        found = _ADDRESS.search(output)
        assert found is not None
        self.base_url, self._port = found[1], int(found[2])

    def _spawn(self, log: IO[str]) -> subprocess.Popen[str] | ForkedProcess:
        command = ["serve", f"--port={self._port}", *self._arguments]
        if fork_server.AVAILABLE and not self._launcher:
            return ForkedProcess(
                fork_server.SERVER,
                command,
                env=self._environment,
                cwd=self._temporary,
                stderr=log.fileno(),
                open_files=self._open_files,
            )
        limit = [] if self._open_files is None else ["sh", "-c", f'ulimit -n {self._open_files} && exec "$@"', "sh"]
        return subprocess.Popen(
            [*limit, *self._launcher, sys.executable, "-m", "claude_code_server", *command],
            env=self._environment,
            cwd=self._temporary,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    @property
    def is_running(self) -> bool:
        """False after ``kill()`` and ``stop()``."""
        return self._process is not None

    def kill(self) -> list[psutil.Process]:
        """Send SIGKILL; wait until its whole process tree has ended, and return that tree."""
        tree = self.process_tree()
        self._end(signal.SIGKILL)
        deadline = time.monotonic() + TIMEOUT
        while alive := [process for process in tree if _runs(process)]:
            assert time.monotonic() < deadline, alive
            time.sleep(0.01)
        return tree

    def stop(self) -> int:
        """Send SIGTERM for a clean shutdown; return the exit code."""
        return self._end(signal.SIGTERM)

    @property
    def process(self) -> psutil.Process:
        """The server process."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self._port

    def process_tree(self) -> list[psutil.Process]:
        """Return the running descendants of the server process."""
        assert self._process is not None
        return psutil.Process(self._process.pid).children(recursive=True)

    def errors(self) -> str:
        """Return the stderr of all server processes so far."""
        return self._log.read_text()

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Return rows of the server's database, which can be read while the server is down."""
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
    """Return True if the process is alive, not just a zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def server_process(
    folder: Path,
    *,
    api_keys: Sequence[str],
    upstream: str = "offline",
    upstream_key: str | None = None,
    options: Sequence[str] = (),
    open_files: int | None = None,
    launcher: Sequence[str] = (),
) -> Iterator[ServerProcess]:
    """Start a server with workspace and state in ``folder``; kill it at the end.

    ``options`` are further options of ``serve``, ``open_files`` the limit on the server's file descriptors,
    ``launcher`` the start of its command line.
    """
    server = ServerProcess(folder, api_keys, upstream, upstream_key, options, open_files, launcher)
    server.start()
    try:
        yield server
    finally:
        server._clean_up()
