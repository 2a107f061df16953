"""Launch of Claude Code: a private directory per run, an environment built from nothing, and the process in it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil

from ..runtime.files import remove_tree
from ..runtime.work_limit import run_in_own_thread

_SUPERVISOR: Final = Path(__file__).with_name("supervisor.py")
_PREFIX: Final = "run-"
_GRACE: Final = 2.0
"""Seconds that the supervisor may take to terminate its descendants."""
_POLL_INTERVAL: Final = 0.02
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
    base: Mapping[str, str], private: Path, *, url: str, key: str, small_model: str | None = None
) -> dict[str, str]:
    """Return the complete environment of the agent's processes. No I/O.

    Only the path, language and time zone come from ``base``, the server's environment. ``small_model`` replaces the
    model that Claude Code uses for minor work.
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
    }


class Launch:
    """Private directory and process of one run. ``command`` is the executable that starts Claude Code."""

    def __init__(self, state_dir: Path, cli: Path, *, url: str, key: str, small_model: str | None = None) -> None:
        self._private = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=state_dir))
        for name in ("home", "tmp", "config"):
            (self._private / name).mkdir(mode=0o700)
        self._pid_file = self._private / "pid"
        self._pid: int | None = None
        self._closed = False
        self.command = self._private / "claude"
        spec = {
            "cli": str(cli),
            "env": build_environment(os.environ, self._private, url=url, key=key, small_model=small_model),
            "parent": os.getpid(),
        }
        self._write(self._private / "spec.json", json.dumps(spec), 0o600)
        self._write(self.command, self._script(), 0o700)

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
        """PID of the supervisor; None before its start.

        Read it before the first command of the agent runs: later values in the PID file do not count.
        """
        if self._pid is None:
            with contextlib.suppress(OSError, ValueError):
                self._pid = int(self._pid_file.read_text())
        return self._pid

    async def terminate(self) -> None:
        """Terminate the supervisor and with it every process of the run. Do nothing if it has exited already."""
        supervisor = self._supervisor()
        if supervisor is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            supervisor.terminate()
            if not await _wait_exited(supervisor, _GRACE):
                for process in (*supervisor.children(recursive=True), supervisor):
                    process.kill()

    async def aclose(self) -> None:
        """Terminate the run's processes and delete the private directory."""
        await self.terminate()
        await run_in_own_thread(lambda: remove_tree(self._private), "cleanup")
        self._closed = True

    @property
    def ended(self) -> bool:
        """True if the launch was closed and its supervisor's exit code has been collected."""
        return self._closed and (self._pid is None or not psutil.pid_exists(self._pid))

    def _script(self) -> str:
        words = ["env", "-i", sys.executable, "-I", str(_SUPERVISOR), str(self._private / "spec.json")]
        return f'#!/bin/sh\necho $$ >{shlex.quote(str(self._pid_file))}\nexec {shlex.join(words)} "$@"\n'

    @staticmethod
    def _write(path: Path, text: str, mode: int) -> None:
        path.touch(mode, exist_ok=False)
        path.write_text(text, encoding="utf-8")

    def _supervisor(self) -> psutil.Process | None:
        """Return the running supervisor, which is a child of this process."""
        try:
            process = None if self.pid is None else psutil.Process(self.pid)
            return process if process is not None and process.ppid() == os.getpid() else None
        except psutil.NoSuchProcess:
            return None


def remove_stale_directories(state_dir: Path) -> None:
    """Delete the private directories of runs whose server no longer exists."""
    for private in state_dir.glob(f"{_PREFIX}*-*"):
        owner = private.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            remove_tree(private)


async def _wait_exited(process: psutil.Process, timeout: float) -> bool:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if loop.time() > deadline:
            return False
        await asyncio.sleep(_POLL_INTERVAL)
    return True
