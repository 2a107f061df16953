"""Real Claude Code engine on a scripted endpoint, with relay, workspace and state directory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from claude_code_server.domain.engine_protocol import CancelToken, EventType, Outcome, TaskSpec
from claude_code_server.domain.key_account import NO_BUDGET, WorkBudget
from claude_code_server.domain.model_catalog import ModelCatalog, Tariff
from claude_code_server.domain.usage import Usage
from claude_code_server.engine.claude_code import ClaudeCodeEngine
from claude_code_server.engine.model_proxy import ModelProxy
from claude_code_server.upstream.factory import open_upstream
from support.servers.messages_endpoint import Script, ScriptedMessages

KEY = "sk-real-key-canary"

Event = dict[str, Any]


@dataclass
class Run:
    """One task with its events and its outcome; also the ``EventSink`` of the run."""

    spec: TaskSpec
    cancellation: CancelToken = field(default_factory=CancelToken)
    events: list[Event] = field(default_factory=list)
    usages: list[Usage] = field(default_factory=list)
    on_event: Callable[[Event], None] = lambda _: None
    outcome: Outcome | None = None

    def emit(self, type: EventType, *, content: str, **fields: Any) -> None:
        event = {"type": type, "content": content, **fields}
        self.events.append(event)
        self.on_event(event)

    def report_usage(self, usage: Usage, reserved: float = 0.0) -> None:
        self.usages.append(usage)

    @property
    def budget(self) -> WorkBudget:
        return NO_BUDGET

    def of(self, type: EventType) -> list[Event]:
        return [event for event in self.events if event["type"] == type]

    @property
    def ended(self) -> Outcome:
        assert self.outcome is not None
        return self.outcome


@dataclass
class Bench:
    endpoint: ScriptedMessages
    proxy: ModelProxy
    engine: ClaudeCodeEngine
    workspace: Path
    state: Path

    def spec(self, **changes: Any) -> TaskSpec:
        known: dict[str, Any] = {
            "task_id": "task_1",
            "description": "Do it.",
            "working_directory": self.workspace,
            "model": "claude-haiku-5-5",
            "tools": ("Bash", "Read", "Write"),
        }
        return TaskSpec(**{**known, **changes})

    async def run(self, spec: TaskSpec | None = None, **hooks: Any) -> Run:
        run = Run(spec or self.spec(), **hooks)
        run.outcome = await self.engine.run(run.spec, run, run.cancellation)
        return run


@asynccontextmanager
async def bench(tmp_path: Path, script: Script, **engine: Any) -> AsyncIterator[Bench]:
    """Prepare a server's engine; ``engine`` are arguments of ``ClaudeCodeEngine``."""
    workspace, state = tmp_path / "workspace", tmp_path / "state"
    workspace.mkdir(exist_ok=True)
    state.mkdir()
    with ScriptedMessages(script) as endpoint:
        source = open_upstream(endpoint.url, KEY)
        proxy = ModelProxy(source, Tariff(ModelCatalog(), free=source.free, local=source.local))
        await proxy.start()
        try:
            yield Bench(endpoint, proxy, ClaudeCodeEngine(proxy, state, **engine), workspace, state)
        finally:
            await proxy.aclose()
            await source.aclose()


def run_task(tmp_path: Path, script: Script, **spec: Any) -> tuple[Run, Bench]:
    """Run one task to its end."""

    async def once() -> tuple[Run, Bench]:
        async with bench(tmp_path, script) as made:
            return await made.run(made.spec(**spec)), made

    return asyncio.run(once())
