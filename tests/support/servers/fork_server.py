"""Server processes that are forked from one that has imported the server and Claude Code's SDK.

A new interpreter needs more than a second of CPU for these imports, and the tests start a hundred servers. What is
forked is otherwise a process like any other: it has its own environment, directory, streams and limits, and runs the
same command.

Run as a program, with the descriptor of a socket, it is the process that forks. Linux only.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, Final

AVAILABLE: Final = sys.platform == "linux"
_MODULES: Final = ("claude_code_server.process.cli", "claude_code_server.upstream.http_upstream", "claude_agent_sdk")
_MAX_BYTES: Final = 64 * 1024
_STREAMS: Final = 3


class ForkedServer:
    """A running ``claude_code_server``, with what the tests use of ``subprocess.Popen``."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stderr: IO[str],
        open_files: int | None = None,
    ) -> None:
        self._fork_server = _fork_server()
        reading, writing = os.pipe()
        with open(os.devnull) as stdin:  # noqa: PTH123
            request = {"arguments": list(arguments), "env": dict(env), "cwd": str(cwd), "open_files": open_files}
            try:
                self.pid = self._fork_server.ask(request, (stdin.fileno(), writing, stderr.fileno()))
            finally:
                os.close(writing)
        self.stdout: TextIOWrapper = os.fdopen(reading, encoding="utf-8")
        self._ended = os.pidfd_open(self.pid)
        self._returncode: int | None = None

    def __enter__(self) -> ForkedServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        self.stdout.close()
        os.close(self._ended)

    def send_signal(self, number: int) -> None:
        """Send a signal. Do nothing if the process has been waited for."""
        if self._returncode is None:
            os.kill(self.pid, number)

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        return self._returncode if self._returncode is not None else self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit code, negative for a signal. Raise ``subprocess.TimeoutExpired``."""
        code = self._returncode if self._returncode is not None else self._wait(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("claude_code_server", timeout or 0)
        return code

    def _wait(self, timeout: float | None) -> int | None:
        poll = select.poll()  # select() takes no descriptor above 1,024
        poll.register(self._ended, select.POLLIN)
        if poll.poll(None if timeout is None else timeout * 1000):
            self._returncode = self._fork_server.ask({"wait": self.pid})
        return self._returncode


class _ForkServer:
    """The process that forks. It answers one request at a time, and ends with this process."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "support.servers.fork_server", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])},
                stdin=subprocess.DEVNULL,
            )
        self._lock = threading.Lock()
        atexit.register(self._close)

    def ask(self, request: Mapping[str, Any], descriptors: Sequence[int] = ()) -> int:
        """Send a request with file descriptors; return the number that is the answer."""
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(request).encode()], list(descriptors))
            return int(self._socket.recv(_MAX_BYTES))

    def _close(self) -> None:
        self._socket.close()
        self.process.wait()


@cache
def _fork_server() -> _ForkServer:
    return _ForkServer()


def fork_server_pid() -> int | None:
    """Return the process that forks servers for this one; None if it has not been needed."""
    return _fork_server().process.pid if _fork_server.cache_info().currsize else None


def main(descriptor: int) -> int:
    """Answer the requests that arrive at a socket; in a forked process, run a server and return its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for module in _MODULES:
        importlib.import_module(module)
    with socket.socket(fileno=descriptor) as requests:
        while True:
            data, descriptors, _, _ = socket.recv_fds(requests, _MAX_BYTES, _STREAMS)
            if not data:
                return 0
            request = json.loads(data)
            if "wait" in request:
                answer = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
            elif (answer := os.fork()) == 0:
                break
            for stream in descriptors:
                os.close(stream)
            requests.send(str(answer).encode())
    return _run_server(request, descriptors)


def _run_server(request: Mapping[str, Any], streams: Sequence[int]) -> int:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    if (limit := request["open_files"]) is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # What isolate_process() does, but for the restart that removes keys from the environment that the kernel shows:
    # these have never been in it.
    process_control = importlib.import_module("claude_code_server.runtime.process_control")
    process_control.deny_inspection()
    process_control.adopt_orphans()
    command = importlib.import_module("claude_code_server.__main__")
    return int(command.main(request["arguments"]))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
