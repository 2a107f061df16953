"""Engine on Claude Code: every task is one run of the real program."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import importlib.util
import os
import shutil
import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from ..domain.engine_protocol import CancelToken, EventSink, Outcome, TaskSpec
from ..domain.names import unknown_name
from ..runtime.work_limit import run_in_own_thread
from ..upstream.protocol import UpstreamError
from .agent_library import AgentLibrary
from .agents import Agent
from .artifact_search import ArtifactSearch
from .changed_files import ArtifactLimits
from .event_reader import EventReader
from .first_start import FirstStart
from .launch import Launch, remove_stale_directories
from .model_proxy import ModelProxy
from .options import build_options, build_prompt, tool_names
from .orphans import collect, kill_orphans
from .outcome import RunEnd, parse_result, status_and_error, structured_result, summary
from .refusals import RefusalLog
from .sandbox import Sandbox
from .sandbox_network import SandboxNetwork
from .tools import TOOLS
from .unavailable import UnavailableError
from .worktree import Isolation, PatchSearch, Worktree, WorktreeError

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeSDKClient
    from psutil import Process

_SDK: Final = "claude_agent_sdk"
_INTERRUPT_TIMEOUT: Final = 0.5
_RESULT_TIMEOUT: Final = 0.5
_UNWIND_TIMEOUT: Final = 3.0
_STDERR_LINES: Final = 5


class ClaudeCodeEngine:
    """Engine that runs tasks on Claude Code, whose model calls go through ``proxy``, which must have been started.

    ``state_dir`` must exist; each run has a private directory there, deleted at its end. ``cli`` is the executable: by
    default the one of claude-agent-sdk, or else ``claude`` on the PATH. ``library`` has the agents and skills: by
    default those that come along. Runs are confined to ``sandbox``, and work in worktrees
    of ``isolation``, if there is one. Raise UnavailableError if there is no executable, and on Windows.
    """

    name = "claude-code"

    def __init__(
        self,
        proxy: ModelProxy,
        state_dir: Path,
        cli: Path | None = None,
        library: AgentLibrary | None = None,
        sandbox: Sandbox | None = None,
        isolation: Isolation | None = None,
        artifact_limits: ArtifactLimits | None = None,
    ) -> None:
        if sys.platform == "win32":
            raise UnavailableError("the embedded server runs on Linux and macOS; on Windows, use it inside WSL")
        self._proxy = proxy
        self._state_dir = state_dir
        self._cli = cli or find_cli()
        self._library = library or AgentLibrary()
        self._sandbox = sandbox
        self._isolation = isolation
        self._artifact_limits = artifact_limits or ArtifactLimits()
        self._launches: list[Launch] = []
        """Launches whose processes run, or have just ended."""
        self._first_start = FirstStart()
        self._collecting: set[asyncio.Task[None]] = set()
        """Waits for processes that can run no more, after their runs."""
        remove_stale_directories(state_dir)

    async def preload(self) -> None:
        """Import the SDK, which takes a second, before the first task needs it."""
        await run_in_own_thread(_import_sdk, "preload")

    async def run(self, spec: TaskSpec, events: EventSink, cancellation: CancelToken) -> Outcome:
        """Run one task. See ``Engine``."""
        if (problem := self._unknown_name(spec) or _moved_directory(spec)) is not None:
            return Outcome("failed", result=parse_result(""), error=("invalid_request_error", problem))
        await self.preload()
        launch = None
        try:
            with self._proxy.issue_credential(spec, cancellation, events.report_usage, events.budget) as credential:
                launch = Launch(
                    self._state_dir,
                    self._cli,
                    url=self._proxy.base_url,
                    key=credential.key,
                    small_model=self._proxy.small_model(spec),
                    sandbox=self._sandbox,
                    repository=self._isolation.common if self._isolation else None,
                    first_start=self._first_start,
                )
                self._launches.append(launch)
                worktree = await self._create_worktree(spec, launch)
                search: ArtifactSearch | PatchSearch
                if worktree is None:
                    search = ArtifactSearch(spec.working_directory, cancellation, self._artifact_limits)
                else:
                    search = PatchSearch(worktree, spec.task_id, self._artifact_limits)
                    spec = attrs.evolve(spec, working_directory=worktree.working_directory)
                # While Claude Code starts, which takes longer.
                beginning = asyncio.create_task(search.begin())
                run = _Run(spec, events, cancellation, launch, beginning, self._library)
                network = None
                try:
                    if self._sandbox is not None:
                        network = SandboxNetwork(launch.receiver, self._sandbox, self._proxy, f"task {spec.task_id}")
                    if cancellation.reason is None:
                        await run.execute()
                finally:
                    await asyncio.shield(asyncio.ensure_future(self._stop(launch, network)))
                end = run.end(credential.last_error, credential.exceeded)
            await beginning
            found = await search.finish(run.reader.written)
        except WorktreeError as reason:
            return Outcome("failed", result=parse_result(""), error=("server_error", str(reason)))
        finally:
            if launch is not None:
                await asyncio.shield(asyncio.ensure_future(self._remove(launch)))
        status, error = status_and_error(end, spec)
        if spec.result_schema is None:
            result = parse_result(summary(end))
        else:
            cost = credential.usage.cost
            result, nonconforming = await run_in_own_thread(lambda: structured_result(end, spec, cost), "result")
            if nonconforming is not None and cancellation.reason is None:
                status, error = "failed", nonconforming
        return Outcome(status, result["summary"], result, found.artifacts, credential.usage, error, found.warnings)

    async def _create_worktree(self, spec: TaskSpec, launch: Launch) -> Worktree | None:
        isolation = self._isolation
        if isolation is None:
            return None
        directory = spec.working_directory
        launch.made_worktree = await run_in_own_thread(lambda: isolation.create(directory, launch.worktree), "worktree")
        return launch.made_worktree

    async def _stop(self, launch: Launch, network: SandboxNetwork | None) -> None:
        """End every process of a run, also those that outlived its supervisor."""
        await launch.terminate()
        if network is not None:
            await network.aclose()
        stopped = await run_in_own_thread(lambda: kill_orphans(self._is_supervisor), "orphans")
        if stopped:
            collecting = asyncio.create_task(run_in_own_thread(lambda: collect(stopped), "orphans"))
            self._collecting.add(collecting)
            collecting.add_done_callback(self._collecting.discard)

    async def _remove(self, launch: Launch) -> None:
        """Delete the private directory of a run, and its worktree."""
        await launch.aclose()
        self._launches = [one for one in self._launches if not one.ended]

    def _is_supervisor(self, process: Process) -> bool:
        return any(launch.is_supervisor(process) for launch in tuple(self._launches))

    def _unknown_name(self, spec: TaskSpec) -> str | None:
        """Return an error message for the first tool, agent or skill that does not exist."""
        agents = self._library.agents() if spec.agents else ()
        skills = self._library.skills() if spec.skills else ()
        checks = (("tool", spec.tools, TOOLS), ("agent", spec.agents, agents), ("skill", spec.skills, skills))
        for kind, names, available in checks:
            if (unknown := unknown_name(kind, names, available)) is not None:
                return f"The task names an {unknown[1]}"
        return None

    async def aclose(self) -> None:
        """Wait until no process is left."""
        if self._collecting:
            await asyncio.wait(self._collecting, timeout=_UNWIND_TIMEOUT)


class _Run:
    """One conversation with Claude Code."""

    def __init__(
        self,
        spec: TaskSpec,
        events: EventSink,
        cancellation: CancelToken,
        launch: Launch,
        ready: asyncio.Task[None],
        library: AgentLibrary,
    ) -> None:
        """Prepare a conversation. The prompt, which may change files, is sent once ``ready`` is done."""
        self.reader = EventReader()
        self._refusals = RefusalLog(spec.task_id)
        self._ready = ready
        self._spec = spec
        self._events = events
        self._cancellation = cancellation
        self._launch = launch
        self._library = library
        self._client: ClaudeSDKClient | None = None
        self._result: Any = None
        self._failure: str | None = None
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)

    def end(self, upstream_error: UpstreamError | None, exceeded: str) -> RunEnd:
        reason = self._cancellation.reason
        return RunEnd(self._result, self.reader.final_text, reason, upstream_error, self._failure, exceeded)

    async def execute(self) -> None:
        """Converse until there is a result, a failure, or a completed cancellation."""
        conversing = asyncio.create_task(self._converse())
        cancelling = asyncio.create_task(self._cancellation.wait())
        try:
            await asyncio.wait({conversing, cancelling}, return_when=asyncio.FIRST_COMPLETED)
            if not conversing.done():
                await self._interrupt(conversing)
            if not conversing.cancelled():
                conversing.result()
        finally:
            cancelling.cancel()
            conversing.cancel()
            await asyncio.gather(conversing, cancelling, return_exceptions=True)

    async def _interrupt(self, conversing: asyncio.Task[None]) -> None:
        """Interrupt the conversation, then terminate the process, which ends the conversation."""
        if (client := self._client) is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_INTERRUPT_TIMEOUT):
                    await client.interrupt()
            await asyncio.wait({conversing}, timeout=_RESULT_TIMEOUT)
        await self._launch.terminate()
        # Before its first message the SDK waits a minute for a process that has exited; later it notices at once.
        await asyncio.wait({conversing}, timeout=0 if client is None else _UNWIND_TIMEOUT)
        conversing.cancel()
        await asyncio.wait({conversing})

    async def _converse(self) -> None:
        from claude_agent_sdk import ClaudeSDKClient, ClaudeSDKError

        agents, plugin = await run_in_own_thread(self._prepare, "agents and skills")
        options = build_options(self._spec, self._launch.command, self._stderr.append, agents, plugin)
        client = ClaudeSDKClient(options)
        try:
            await client.connect()
            self._launch.note_start()
            self._client = client
            await asyncio.shield(self._ready)
            await client.query(build_prompt(self._spec))
            async for message in client.receive_response():
                self._receive(message)
        except (ClaudeSDKError, UnavailableError) as error:
            self._failure = " · ".join([str(error), *self._stderr])
        finally:
            # After the result there is nothing that Claude Code would have to finish.
            await self._launch.terminate(kill=self._result is not None)
            await client.disconnect()

    def _prepare(self) -> tuple[dict[str, Agent], Path | None]:
        """Return the task's agents, and the plugin with its skills. Blocking."""
        known = self._library.agents() if self._spec.agents else {}
        skills = self._spec.skills
        plugin = self._library.write_plugin(skills, self._launch.plugin) if skills else None
        return {name: known[name] for name in self._spec.agents}, plugin

    def _receive(self, message: Any) -> None:
        kind = type(message).__name__
        if kind == "SystemMessage" and message.subtype == "init":
            _check_tools(self._spec, message.data)
        elif kind == "ResultMessage":
            self._result = message
            self._refusals.finish(message.permission_denials or ())
        for event in self.reader.read(message):
            self._refusals.watch(event)
            self._events.emit(event.type, content=event.content, **event.fields)


def _import_sdk() -> None:
    # What the import creates stays: looking for garbage among it takes a sixth of the time.
    gc.disable()
    try:
        importlib.import_module(_SDK)
    finally:
        gc.enable()


def find_cli() -> Path:
    """Return the Claude Code executable. Raise UnavailableError if there is none."""
    found = importlib.util.find_spec(_SDK)
    candidates = (
        [Path(place, "_bundled", "claude") for place in (found.submodule_search_locations or ())] if found else []
    )
    if (installed := shutil.which("claude")) is not None:
        candidates.append(Path(installed))
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return candidate
    raise UnavailableError("Claude Code is not installed: pip install 'claude-code-client[server]'")


def _moved_directory(spec: TaskSpec) -> str | None:
    """Return an error message if the path of the working directory leads elsewhere than when the task was created."""
    try:
        if spec.working_directory.resolve(strict=True) == spec.working_directory and spec.working_directory.is_dir():
            return None
    except (OSError, RuntimeError):
        pass
    return "The working directory was moved, or replaced by a link, before the task started."


def _check_tools(spec: TaskSpec, init: dict[str, Any]) -> None:
    """Raise UnavailableError if Claude Code silently left out a tool."""
    offered = {"Agent" if name == "Task" else name for name in init.get("tools", ())}
    missing = sorted(set(tool_names(spec)) - offered)
    if missing:
        version = init.get("claude_code_version", "")
        raise UnavailableError(f"Claude Code {version} does not offer {', '.join(missing)} here.")
