"""A task's private directory, its environment built from nothing, and the process that runs in it."""

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import psutil

_SUPERVISOR = Path(__file__).with_name("_supervisor.py")
_PREFIX = "run-"
_GRACE = 2.0
_PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
_FLAGS = {
    "CLAUDE_AGENT_SDK_DISABLE_BUILTIN_AGENTS": "1",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_ENTRYPOINT": "sdk-py",
    "CLAUDE_CODE_MAX_RETRIES": "2",
    "CLAUDE_CODE_SDK_READS_SESSION_STATE": "1",
    "DISABLE_AUTOUPDATER": "1",
    "ENABLE_TOOL_SEARCH": "false",
}


def environment(
    base: Mapping[str, str], private: Path, *, url: str, key: str, small_model: str | None = None
) -> dict[str, str]:
    """All that the agent's processes see. Of ``base``, the server's own: path, language and time zone. Pure.

    ``small_model`` stands in for the one that Claude Code takes for side jobs.
    """
    temporary = str(private / "tmp")
    return {
        **{name: base[name] for name in _PASSED_ON if name in base},
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
    """All of one run that lies outside the working directory. ``command`` is what starts Claude Code."""

    def __init__(self, state_dir: Path, cli: Path, *, url: str, key: str, small_model: str | None = None) -> None:
        self._private = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=state_dir))
        for name in ("home", "tmp", "config"):
            (self._private / name).mkdir(mode=0o700)
        self._pid_file = self._private / "pid"
        self.command = self._private / "claude"
        spec = {
            "cli": str(cli),
            "env": environment(os.environ, self._private, url=url, key=key, small_model=small_model),
            "parent": os.getpid(),
        }
        self._write(self._private / "spec.json", json.dumps(spec), 0o600)
        self._write(self.command, self._script(), 0o700)

    def _script(self) -> str:
        words = ["env", "-i", sys.executable, "-I", str(_SUPERVISOR), str(self._private / "spec.json")]
        return f'#!/bin/sh\necho $$ >{shlex.quote(str(self._pid_file))}\nexec {shlex.join(words)} "$@"\n'

    @staticmethod
    def _write(path: Path, text: str, mode: int) -> None:
        path.touch(mode, exist_ok=False)
        path.write_text(text, encoding="utf-8")

    async def end(self) -> None:
        """End the supervisor and with it all that it watches. Does nothing when it has ended already."""
        supervisor = self._process()
        if supervisor is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            supervisor.terminate()
            if not await self._gone(supervisor, _GRACE):
                for process in (*supervisor.children(recursive=True), supervisor):
                    process.kill()

    async def _gone(self, process: psutil.Process, seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if loop.time() > deadline:
                return False
            await asyncio.sleep(0.02)
        return True

    def _process(self) -> psutil.Process | None:
        """The supervisor, if it runs: a child of ours with the pid that it wrote down."""
        try:
            process = psutil.Process(int(self._pid_file.read_text()))
            return process if process.ppid() == os.getpid() else None
        except (OSError, ValueError, psutil.NoSuchProcess):
            return None

    async def close(self) -> None:
        """End what runs and delete the private directory."""
        await self.end()
        await asyncio.to_thread(shutil.rmtree, self._private, ignore_errors=True)


def sweep(state_dir: Path) -> None:
    """Delete the private directories of runs whose server is no more."""
    for private in state_dir.glob(f"{_PREFIX}*-*"):
        owner = private.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(private, ignore_errors=True)
