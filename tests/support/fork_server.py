"""Processes that are forked from one that has imported the client, the server and Claude Code's SDK.

A new interpreter needs more than a second of CPU for these imports, and the tests start two hundred. What is
forked is otherwise a process like any other: it has its own environment, directory, streams and limits, and runs the
same command.

Run as a program, with the descriptor of a socket, it is the process that forks. All workers of a test run share one
for servers and one for clients, started by the process that controls them. Linux only.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import resource
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

AVAILABLE: Final = sys.platform == "linux"
SERVER: Final = "claude_code_server"
_SERVER_MODULES: Final = (
    "claude_agent_sdk",
    "claude_code_server.http.app",
    "claude_code_server.process.cli",
    "claude_code_server.upstream.http_upstream",
)
_CLIENT_MODULES: Final = (
    "claude_code_client._client._async.client",
    "claude_code_client._client._sync.client",
    "support.clients.client_kinds",
)
_MODULES: Final = {"server": _SERVER_MODULES, "client": _CLIENT_MODULES}
_MAX_BYTES: Final = 64 * 1024
_STREAMS: Final = 3


running: Final[set[int]] = set()
"""The processes that fork for this one, if it has started them."""
forked: Final[set[int]] = set()
"""The forked processes of this one that nobody has waited for."""
_shared: Final[list[str]] = []
"""The directory that was given to ``share()``."""


class ForkedProcess:
    """A running ``python -m MODULE``, with what the tests use of ``subprocess.Popen``."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        stdin: bool = False,
        stderr: int | None = None,
        text: bool = True,
        open_files: int | None = None,
        new_session: bool = False,
    ) -> None:
        """Start the process.

        ``stdin`` is a pipe if it is true, else empty; ``stderr`` is a descriptor, or None for a pipe; ``open_files``
        limits the descriptors; with ``new_session``, no Ctrl-C of a terminal reaches the process.
        """
        # A process each, because what has been imported also takes its time when a process exits.
        self._fork_server = _connection("server" if module == SERVER else "client")
        command = {
            "module": module,
            "arguments": list(arguments),
            "env": dict(env),
            "cwd": str(cwd or Path.cwd()),
            "open_files": open_files,
            "new_session": new_session,
        }
        with ExitStack() as stack:
            self.stdin: IO[Any] | None = None
            if stdin:
                theirs, ours = os.pipe()
                stack.callback(os.close, theirs)
                self.stdin = _open(ours, "w", text)
            else:
                theirs = stack.enter_context(open(os.devnull)).fileno()  # noqa: PTH123
            ours, output = os.pipe()
            stack.callback(os.close, output)
            self.stdout = _open(ours, "r", text)
            self.stderr: IO[Any] | None = None
            if stderr is None:
                ours, stderr = os.pipe()
                stack.callback(os.close, stderr)
                self.stderr = _open(ours, "r", text)
            self.pid = self._fork_server.ask(command, (theirs, output, stderr))
        forked.add(self.pid)
        self._ended = os.pidfd_open(self.pid)
        self._returncode: int | None = None

    def __enter__(self) -> ForkedProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()

    def send_signal(self, number: int) -> None:
        """Send a signal. Do nothing if the process has been waited for."""
        if self._returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM. Do nothing if the process has been waited for."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL. Do nothing if the process has been waited for."""
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        return self._returncode if self._returncode is not None else self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit code, negative for a signal. Raise ``subprocess.TimeoutExpired``."""
        code = self._returncode if self._returncode is not None else self._wait(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("forked process", timeout or 0)
        return code

    def _wait(self, timeout: float | None) -> int | None:
        poll = select.poll()  # select() takes no descriptor above 1,024
        poll.register(self._ended, select.POLLIN)
        if poll.poll(None if timeout is None else timeout * 1000):
            self._returncode = self._fork_server.ask({"wait": self.pid})
            forked.discard(self.pid)
            os.close(self._ended)
        return self._returncode


def _open(descriptor: int, mode: str, text: bool) -> IO[Any]:
    return os.fdopen(descriptor, mode, encoding="utf-8") if text else os.fdopen(descriptor, f"{mode}b")


class _Connection:
    """A connection to a process that forks, which answers one request at a time."""

    def __init__(self, kind: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.connect(str(directory() / kind))
        self._lock = threading.Lock()
        atexit.register(self._socket.close)

    def ask(self, request: Mapping[str, Any], descriptors: Sequence[int] = ()) -> int:
        """Send a request with file descriptors; return the number that is the answer."""
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(request).encode()], list(descriptors))
            answer = self._socket.recv(_MAX_BYTES)
        if not answer:
            raise RuntimeError("the process that forks has ended, or could not do it")
        return int(answer)


_connection = cache(_Connection)


@cache
def directory() -> Path:
    """Return the directory with the sockets of the processes that fork; start these, unless another one has."""
    if _shared:
        return Path(_shared[0])
    path = Path(tempfile.mkdtemp(prefix="fork-"))
    processes = [_start(path / kind, modules) for kind, modules in _MODULES.items()]

    def close() -> None:
        for process in processes:
            process.communicate()
        shutil.rmtree(path)

    atexit.register(close)
    return path


def share(path: str) -> None:
    """Use the processes that fork of another process, which is there for longer."""
    _shared.append(path)


def _start(path: Path, modules: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a process that forks, and ends with this one: when its standard input is closed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, "-m", "support.fork_server", str(listener.fileno()), *modules],
            pass_fds=[listener.fileno()],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[1])},
            stdin=subprocess.PIPE,
        )
    running.add(process.pid)
    return process


def main(descriptor: int, modules: Sequence[str]) -> int:
    """Answer the requests of all connections to a socket; in a forked process, run a module and return its exit code.

    The modules are imported when the first connection is there.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener = socket.socket(fileno=descriptor)
    sockets = {descriptor: listener}
    poll = select.poll()
    for number in (sys.stdin.fileno(), descriptor):
        poll.register(number, select.POLLIN)
    while True:
        for number, _ in poll.poll():
            if number == sys.stdin.fileno():
                return 0
            if number == descriptor:
                connection, _ = listener.accept()
                sockets[connection.fileno()] = connection
                poll.register(connection, select.POLLIN)
                if len(sockets) == 2:
                    _import(modules)
                continue
            forked = _answer(sockets[number])
            if forked is None:
                poll.unregister(number)
                sockets.pop(number).close()
            elif forked:
                for each in sockets.values():
                    each.close()
                return _run(*forked)


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        importlib.import_module(module)
    gc.freeze()  # as recommended before a fork: no collection, of which an exit makes several, visits what is here


def _answer(connection: socket.socket) -> tuple[()] | tuple[Mapping[str, Any], Sequence[int]] | None:
    """Answer a request. Return it, with its descriptors, in a forked process; None if the connection is of no use."""
    try:
        data, descriptors, _, _ = socket.recv_fds(connection, _MAX_BYTES, _STREAMS)
        if not data:
            return None
        request = json.loads(data)
        if "wait" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
        elif (answer := os.fork()) == 0:
            return request, descriptors
        for stream in descriptors:
            os.close(stream)
        connection.send(str(answer).encode())
    except OSError:  # of this connection only: others are to go on
        return None
    return ()


def _run(request: Mapping[str, Any], streams: Sequence[int]) -> int:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    if request["new_session"]:
        os.setsid()
    if (limit := request["open_files"]) is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [request["module"], *request["arguments"]]
    if request["module"] != SERVER:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        return 0
    # What isolate_process() does, but for the restart that removes keys from the environment that the kernel shows:
    # these have never been in it.
    process_control = importlib.import_module("claude_code_server.runtime.process_control")
    process_control.deny_inspection()
    process_control.adopt_orphans()
    return int(importlib.import_module(f"{SERVER}.__main__").main(request["arguments"]))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
