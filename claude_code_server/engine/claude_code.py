"""The engine: each task is one run of the real Claude Code."""

import asyncio
import contextlib
import importlib
import importlib.util
import os
import shutil
import sys
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claude_code_server import catalog
from claude_code_server.engine import _artifacts, _options, _outcome, agents
from claude_code_server.engine._events import Events
from claude_code_server.engine._launch import Launch, sweep
from claude_code_server.engine.base import Emit, Order, Outcome, Stop
from claude_code_server.engine.tools import TOOLS
from claude_code_server.relay import Relay

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeSDKClient

_SDK = "claude_agent_sdk"
_INTERRUPT_SECONDS = 0.5
_RESULT_SECONDS = 0.5
_UNWIND_SECONDS = 3.0
_STDERR_LINES = 5


class UnavailableError(RuntimeError):
    """Claude Code cannot run here, or does not have what was asked for. The message says what to do."""


class ClaudeCodeEngine:
    """Runs tasks on Claude Code, whose models are reached through ``relay``, which must have been started.

    ``state_dir`` exists and holds a private directory for each run, deleted when it ends. ``cli`` is the
    executable; left out, it is the one that comes with claude-agent-sdk, or else ``claude`` on the PATH.
    Raises UnavailableError where there is none, and on Windows.
    """

    name = "claude-code"

    def __init__(self, relay: Relay, state_dir: Path, cli: Path | None = None) -> None:
        if sys.platform == "win32":
            raise UnavailableError("the embedded server runs on Linux and macOS; on Windows, use it inside WSL")
        self._relay = relay
        self._state_dir = state_dir
        self._cli = cli or find_cli()
        sweep(state_dir)

    async def warm(self) -> None:
        """Import what the first task would otherwise wait a second for."""
        loop = asyncio.get_running_loop()
        imported: asyncio.Future[None] = loop.create_future()

        def settle(error: Exception | None) -> None:
            if imported.done():
                return
            if error is None:
                imported.set_result(None)
            else:
                imported.set_exception(error)

        def work() -> None:
            problem = None
            try:
                importlib.import_module(_SDK)
            except Exception as error:
                problem = error
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(settle, problem)

        # A worker of the loop's own would hold up the server's end until the import is done.
        threading.Thread(target=work, name="warm", daemon=True).start()
        await imported

    async def run(self, order: Order, emit: Emit, stop: Stop) -> Outcome:
        if (problem := _unknown(order)) is not None:
            return Outcome("failed", result=_outcome.result(""), error=("invalid_request_error", problem))
        await self.warm()
        before = await asyncio.to_thread(_artifacts.listing, order.working_directory)
        with self._relay.admit(order, stop, emit.spent) as admission:
            launch = Launch(
                self._state_dir,
                self._cli,
                url=self._relay.base_url,
                key=admission.key,
                small_model=None if catalog.find(order.model) else order.model,
            )
            run = _Run(order, emit, stop, launch)
            try:
                if stop.reason is None:
                    await run.follow()
            finally:
                await asyncio.shield(asyncio.ensure_future(launch.close()))
            ending = run.ending(admission.last_error)
        artifacts = await asyncio.to_thread(_artifacts.found, order.working_directory, before, run.events.written)
        status, error = _outcome.status_and_error(ending, order)
        summary = _outcome.summary(ending)
        return Outcome(status, summary, _outcome.result(summary), artifacts, admission.spent, error)

    async def aclose(self) -> None:
        """Nothing outlives a run."""


class _Run:
    """One conversation with Claude Code, from its start to its result or to whatever ends it first."""

    def __init__(self, order: Order, emit: Emit, stop: Stop, launch: Launch) -> None:
        self.events = Events()
        self._order = order
        self._emit = emit
        self._stop = stop
        self._launch = launch
        self._client: ClaudeSDKClient | None = None
        self._result: Any = None
        self._failure: str | None = None
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)

    def ending(self, upstream_error: Any) -> _outcome.Ending:
        return _outcome.Ending(self._result, self.events.answer, self._stop.reason, upstream_error, self._failure)

    async def follow(self) -> None:
        """Returns once there is a result, a failure, or a stop that was carried out."""
        talking = asyncio.create_task(self._talk())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({talking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not talking.done():
                await self._interrupt(talking)
            if not talking.cancelled():
                talking.result()
        finally:
            stopping.cancel()
            talking.cancel()
            await asyncio.gather(talking, stopping, return_exceptions=True)

    async def _interrupt(self, talking: asyncio.Task[None]) -> None:
        """Ask politely, then end the process; the conversation falls with it."""
        if (client := self._client) is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_INTERRUPT_SECONDS):
                    await client.interrupt()
            await asyncio.wait({talking}, timeout=_RESULT_SECONDS)
        await self._launch.end()
        # The SDK waits a minute for the first word of a process that has ended; later it notices by itself.
        await asyncio.wait({talking}, timeout=0 if client is None else _UNWIND_SECONDS)
        talking.cancel()
        await asyncio.wait({talking})

    async def _talk(self) -> None:
        from claude_agent_sdk import ClaudeSDKClient, ClaudeSDKError

        options = _options.options(self._order, self._launch.command, self._stderr.append)
        client = ClaudeSDKClient(options)
        try:
            await client.connect()
            self._client = client
            await client.query(_options.prompt(self._order))
            async for message in client.receive_response():
                self._take(message)
        except (ClaudeSDKError, UnavailableError) as error:
            self._failure = " · ".join([str(error), *self._stderr])
        finally:
            await self._launch.end()
            await client.disconnect()

    def _take(self, message: Any) -> None:
        kind = type(message).__name__
        if kind == "SystemMessage" and message.subtype == "init":
            _check_tools(self._order, message.data)
        elif kind == "ResultMessage":
            self._result = message
        for event in self.events.read(message):
            self._emit(event.type, content=event.content, **event.fields)


def find_cli() -> Path:
    """The Claude Code executable. Raises UnavailableError if there is none."""
    found = importlib.util.find_spec(_SDK)
    places = [Path(place, "_bundled", "claude") for place in (found.submodule_search_locations or ())] if found else []
    if (installed := shutil.which("claude")) is not None:
        places.append(Path(installed))
    for place in places:
        if os.access(place, os.X_OK):
            return place
    raise UnavailableError("Claude Code is not installed: pip install 'claude-code-client[server]'")


def _unknown(order: Order) -> str | None:
    """What an order asks for that is not there, and what is."""
    asked = (
        ("tool", order.tools, TOOLS),
        ("agent", order.agents, agents.AGENTS),
        ("skill", order.skills, agents.SKILLS),
    )
    for kind, names, available in asked:
        unknown = sorted(set(names) - set(available))
        if unknown:
            return f"There is no {kind} {', '.join(unknown)}. Available: {', '.join(available)}."
    return None


def _check_tools(order: Order, init: dict[str, Any]) -> None:
    """Raises UnavailableError when Claude Code left a tool out, which it does without a word."""
    given = {"Agent" if name == "Task" else name for name in init.get("tools", ())}
    missing = sorted(set(_options.tools(order)) - given)
    if missing:
        version = init.get("claude_code_version", "")
        raise UnavailableError(f"Claude Code {version} offers no {', '.join(missing)} here.")
