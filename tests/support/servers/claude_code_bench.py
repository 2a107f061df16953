"""Real Claude Code engine on a scripted endpoint, with relay, workspace and state directory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from claude_code_server import upstream
from claude_code_server.engine.base import EventType, Order, Outcome, Spent, Stop
from claude_code_server.engine.claude_code import ClaudeCodeEngine
from claude_code_server.relay import Relay
from support.servers.messages_endpoint import Script, ScriptedMessages

KEY = "sk-real-key-canary"

Event = dict[str, Any]


@dataclass
class Run:
    """One task: what it emitted, and how it ended. It is the run's ``Emit`` itself."""

    order: Order
    stop: Stop = field(default_factory=Stop)
    events: list[Event] = field(default_factory=list)
    metered: list[Spent] = field(default_factory=list)
    on_event: Callable[[Event], None] = lambda _: None
    outcome: Outcome | None = None

    def __call__(self, type: EventType, *, content: str, **fields: Any) -> None:
        event = {"type": type, "content": content, **fields}
        self.events.append(event)
        self.on_event(event)

    def spent(self, spent: Spent) -> None:
        self.metered.append(spent)

    def of(self, type: EventType) -> list[Event]:
        return [event for event in self.events if event["type"] == type]

    @property
    def ended(self) -> Outcome:
        assert self.outcome is not None
        return self.outcome


@dataclass
class Bench:
    endpoint: ScriptedMessages
    relay: Relay
    engine: ClaudeCodeEngine
    workspace: Path
    state: Path

    def order(self, **changes: Any) -> Order:
        known: dict[str, Any] = {
            "task_id": "task_1",
            "description": "Do it.",
            "working_directory": self.workspace,
            "model": "claude-haiku-5-5",
            "tools": ("Bash", "Read", "Write"),
        }
        return Order(**{**known, **changes})

    async def run(self, order: Order | None = None, **hooks: Any) -> Run:
        run = Run(order or self.order(), **hooks)
        run.outcome = await self.engine.run(run.order, run, run.stop)
        return run


@asynccontextmanager
async def bench(tmp_path: Path, script: Script) -> AsyncIterator[Bench]:
    workspace, state = tmp_path / "workspace", tmp_path / "state"
    workspace.mkdir()
    state.mkdir()
    with ScriptedMessages(script) as endpoint:
        source = upstream.open(endpoint.url, KEY)
        relay = Relay(source)
        await relay.start()
        try:
            yield Bench(endpoint, relay, ClaudeCodeEngine(relay, state), workspace, state)
        finally:
            await relay.aclose()
            await source.aclose()


def run_task(tmp_path: Path, script: Script, **order: Any) -> tuple[Run, Bench]:
    """Run one task to its end."""

    async def once() -> tuple[Run, Bench]:
        async with bench(tmp_path, script) as made:
            return await made.run(made.order(**order)), made

    return asyncio.run(once())
