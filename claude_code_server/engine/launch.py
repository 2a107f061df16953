"""Launch of Claude Code: a private directory per run, an environment built from nothing, and the process in it."""

from __future__ import annotations

import asyncio
import contextlib
import marshal
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import Final

import psutil

from ..runtime.broadcast import wait_for_event
from ..runtime.files import remove_tree
from ..runtime.process_control import adopts_orphans
from ..runtime.work_limit import run_in_own_thread
from . import supervisor
from .agents import PLUGIN
from .first_start import FirstStart
from .sandbox import PROTECTED, Sandbox, write_identity
from .worktree import Worktree, worktree_path

_PREFIX: Final = "run-"
_GRACE: Final = 2.0
"""Seconds that the supervisor may take to terminate its descendants."""
_POLL_INTERVAL: Final = 0.002
_POLL_SHARE: Final = 0.2
"""Share of the time that has been waited so far: a short wait ends on time, a long one costs little."""
_INHERITED: Final = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")
_DEFAULT_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_FLAGS: Final = {
    "CLAUDE_AGENT_SDK_DISABLE_BUILTIN_AGENTS": "1",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_ENTRYPOINT": "sdk-py",
    "CLAUDE_CODE_MAX_RETRIES": "2",
    "CLAUDE_CODE_SDK_READS_SESSION_STATE": "1",
    "DISABLE_AUTOUPDATER": "1",
    "ENABLE_TOOL_SEARCH": "false",
}


def build_environment(
    base: Mapping[str, str],
    private: Path,
    *,
    url: str,
    key: str,
    small_model: str | None = None,
    more: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the complete environment of the agent's processes. No I/O.

    Only the path, language and time zone come from ``base``, the server's environment. ``small_model`` replaces the
    model that Claude Code uses for minor work; ``more`` are further variables.
    """
    temporary = str(private / "tmp")
    return {
        **{name: base[name] for name in _INHERITED if name in base},
        **_FLAGS,
        "PATH": base.get("PATH") or _DEFAULT_PATH,
        "HOME": str(private / "home"),
        "TMPDIR": temporary,
        "CLAUDE_CODE_TMPDIR": temporary,
        "CLAUDE_CONFIG_DIR": str(private / "config"),
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": key,
        **({"ANTHROPIC_DEFAULT_HAIKU_MODEL": small_model} if small_model else {}),
        **(more or {}),
    }


class Launch:
    """Private directory and process of one run. ``command`` is the executable that starts Claude Code."""

    def __init__(
        self,
        state_dir: Path,
        cli: Path,
        *,
        url: str,
        key: str,
        small_model: str | None = None,
        sandbox: Sandbox | None = None,
        repository: Path | None = None,
        first_start: FirstStart | None = None,
    ) -> None:
        """Prepare a run. If it is to work in a worktree, ``repository`` is the directory of its repository."""
        self._first_start = first_start or FirstStart()
        self._private = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=state_dir))
        for name in ("home", "tmp", "config"):
            (self._private / name).mkdir(mode=0o700)
        self._first_start.write_to(self._private / "config")
        self._pid_file = self._private / "pid"
        self._pid: int | None = None
        self._closed = False
        self.command = self._private / "claude"
        self.plugin = self._private / "plugin"
        self._spec = self._private / "spec"
        self._supervisor_code = self._private / "supervisor.pyc"
        self._supervisor_code.write_bytes(_compiled_supervisor())
        self.worktree = worktree_path(self._private)
        """Path of the run's worktree, if it works in one."""
        self.made_worktree: Worktree | None = None
        self.receiver = self._private / "network"
        """Unix socket at which the supervisor of a sandboxed run hands over its network."""
        command, inside = [str(cli)], None
        if sandbox is not None:
            inside = supervisor.namespaces(str(self.receiver), sandbox.ports, str(sandbox.workspace), PROTECTED)
            write_identity(self._private)
            writable = sandbox.workspace if repository is None else self.worktree
            readable = [PLUGIN, self.plugin, *([] if repository is None else [repository])]
            command = sandbox.command(cli, self._private, writable, readable)
        supervisor.write_spec(
            self._spec,
            command=command,
            env=build_environment(
                os.environ,
                self._private,
                url=url if sandbox is None else sandbox.relay_url,
                key=key,
                small_model=small_model,
                more={} if sandbox is None else sandbox.environment(),
            ),
            parent=os.getpid(),
            adopts=adopts_orphans(),
            namespaces=inside,
        )
        self.command.touch(0o700, exist_ok=False)
        self.command.write_text(self._script(), encoding="utf-8")

    def is_supervisor(self, process: psutil.Process) -> bool:
        """Return whether a child of this process is the supervisor of the run."""
        if (pid := self.pid) is not None:
            return process.pid == pid
        try:
            return any(str(self._private) in word for word in process.cmdline())
        except psutil.Error:
            return False

    @property
    def pid(self) -> int | None:
        """PID of the supervisor; None before its start."""
        if self._pid is None:
            with contextlib.suppress(OSError, ValueError):
                self._pid = int(self._pid_file.read_text())
        return self._pid

    def note_start(self) -> None:
        """Read what does not count any more once the agent can run commands, which may change the private directory."""
        _ = self.pid
        self._first_start.learn_from(self._private / "config")

    async def terminate(self, *, kill: bool = False) -> None:
        """Terminate, or ``kill`` at once, every process of the run. Do nothing if the supervisor has exited already."""
        running = self._supervisor()
        if running is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            running.send_signal(supervisor.KILL if kill else signal.SIGTERM)
            if not await _wait_exited(running, _GRACE):
                for process in (*running.children(recursive=True), running):
                    process.kill()

    async def aclose(self) -> None:
        """Terminate the run's processes and delete the private directory."""
        await self.terminate()
        await run_in_own_thread(self._remove_files, "cleanup")
        self._closed = True

    @property
    def ended(self) -> bool:
        """True if the launch was closed and its supervisor's exit code has been collected."""
        return self._closed and (self._pid is None or not psutil.pid_exists(self._pid))

    def _remove_files(self) -> None:
        if self.made_worktree is not None:
            self.made_worktree.remove()
        remove_tree(self._private)

    def _script(self) -> str:
        words = ["env", "-i", sys.executable, "-I", "-S", str(self._supervisor_code), str(self._spec)]
        return f'#!/bin/sh\necho $$ >{shlex.quote(str(self._pid_file))}\nexec {shlex.join(words)} "$@"\n'

    def _supervisor(self) -> psutil.Process | None:
        """Return the running supervisor, which is a child of this process."""
        try:
            process = None if self.pid is None else psutil.Process(self.pid)
            return process if process is not None and process.ppid() == os.getpid() else None
        except psutil.NoSuchProcess:
            return None


@cache
def _compiled_supervisor() -> bytes:
    """Return the supervisor as a .pyc file: Python would compile the script anew for every task."""
    path = Path(supervisor.__file__)
    code = compile(path.read_bytes(), path, "exec", dont_inherit=True)
    # The header: the magic number, and where other files have flags, time and size of their source.
    return MAGIC_NUMBER + bytes(12) + marshal.dumps(code)


def remove_stale_directories(state_dir: Path) -> None:
    """Delete the private directories that earlier servers left: a state directory has one server at a time."""
    for private in state_dir.glob(f"{_PREFIX}*-*"):
        # The PID says nothing: in a container, every server has the same one.
        if private.name.removeprefix(_PREFIX).partition("-")[0].isdecimal():
            remove_tree(private)


async def _wait_exited(process: psutil.Process, timeout: float) -> bool:
    """Wait until a child of this process has exited; return False after ``timeout`` seconds."""
    loop = asyncio.get_running_loop()
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        return await _poll_exited(process, timeout)
    exited = asyncio.Event()
    loop.add_reader(descriptor, exited.set)
    try:
        return await wait_for_event(exited, timeout)
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _poll_exited(process: psutil.Process, timeout: float) -> bool:
    """Wait like ``_wait_exited``, without the help of Linux."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        waited = loop.time() - start
        if waited > timeout:
            return False
        await asyncio.sleep(max(_POLL_INTERVAL, waited * _POLL_SHARE))
    return True
