"""Embedded server whose engine follows each task's ``context``, with a view of its store.

HTTP, store and runner are the real ones; only the engine is not Claude Code.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from claude_code_server.domain.engine_protocol import CancelToken, EventSink, Outcome, TaskSpec
from claude_code_server.domain.usage import Usage
from support.clients.client_kinds import KEY
from support.processes import eventually
from support.servers.embedded_server import Running, serving

TIMEOUT = 20.0
"""Seconds that tests wait for something before they fail."""


class ContextEngine:
    """Engine controlled by each task's ``context``: ``events`` to emit, ``seconds`` to take, ``hold`` to run until
    stopped, ``cost`` in USD and the final ``status``.
    """

    name = "scripted"

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.reset_counts()

    def reset_counts(self) -> None:
        """Reset all counts."""
        self.runs: Counter[str] = Counter()
        """Number of runs by description."""
        self.running = 0
        self.most_committed = 0.0
        """Peak of the cost of ended tasks plus the maximum cost of running ones, in USD."""
        self._committed = 0.0

    async def run(self, spec: TaskSpec, events: EventSink, cancellation: CancelToken) -> Outcome:
        context: dict[str, Any] = dict(spec.context)
        usage = Usage(10, 5, float(context.get("cost", 0.0)))
        self._began(spec)
        try:
            for number in range(context.get("events", 0)):
                events.emit("thinking", content=f"{number + 1}")
            if context.get("hold"):
                await cancellation.wait()
            elif seconds := context.get("seconds"):
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await cancellation.wait()
            summary = f"Done: {spec.description}"
            status = cancellation.reason or context.get("status", "completed")
            return Outcome(status, summary=summary, result={"summary": summary}, usage=usage)
        finally:
            self._ended(spec, usage.cost)

    async def aclose(self) -> None:
        return None

    def wait_until(self, condition: Callable[[], bool], seconds: float = TIMEOUT) -> None:
        """Wait until the condition on the runs holds; fail after ``seconds``."""
        with self._changed:
            assert self._changed.wait_for(condition, seconds), (self.running, self.runs)

    def _began(self, spec: TaskSpec) -> None:
        with self._changed:
            self.runs[spec.description] += 1
            self.running += 1
            self._committed += spec.max_cost
            self.most_committed = max(self.most_committed, self._committed)
            self._changed.notify_all()

    def _ended(self, spec: TaskSpec, cost: float) -> None:
        with self._changed:
            self.running -= 1
            self._committed += cost - spec.max_cost
            self._changed.notify_all()


@dataclass(frozen=True)
class ContextServer:
    """Running server, its engine and its store."""

    server: Running
    engine: ContextEngine
    _file: Path
    _before: tuple[int, int] = (0, 0)
    """Tasks and bills from before, which are not counted."""

    @property
    def address(self) -> tuple[str, int]:
        return self.server.address

    @property
    def base_url(self) -> str:
        return self.server.base_url

    def tasks(self) -> list[tuple[str, str, str]]:
        """Return id, status and description of every task in the store, oldest first."""
        rows = self._query("SELECT id, status, description FROM tasks ORDER BY n LIMIT -1 OFFSET ?", self._before[0])
        return [(str(id_), str(status), str(description)) for id_, status, description in rows]

    def billed(self) -> int:
        """Return the number of billed tasks and completions."""
        return int(self._query("SELECT count(*) FROM usage")[0][0]) - self._before[1]

    def tasks_by_description(self) -> Counter[str]:
        """Return the number of tasks in the store by description."""
        return Counter(description for _, _, description in self.tasks())

    def tasks_by_status(self) -> Counter[str]:
        """Return the number of tasks in the store by status."""
        return Counter(status for _, status, _ in self.tasks())

    def wait_until_idle(self) -> None:
        """Wait until no task runs, and the store knows how each has ended, which is a little later."""
        self.engine.wait_until(lambda: self.engine.running == 0)
        eventually(lambda: not self.tasks_by_status().keys() & {"pending", "running"})

    @contextmanager
    def reset(self) -> Iterator[ContextServer]:
        """Yield the same server as if it were new; cancel its tasks at the end of the block."""
        self.engine.reset_counts()
        try:
            yield replace(self, _before=(len(self.tasks()), self.billed()))
        finally:
            for id_, status, _ in self.tasks():
                if status in ("pending", "running"):
                    self.server.services.loop.call_soon_threadsafe(self.server.services.task_runner.cancel, id_)
            self.wait_until_idle()

    def _query(self, sql: str, *values: int) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)) as database:
            return database.execute(sql, values).fetchall()


@contextmanager
def context_server(folder: Path, **settings: Any) -> Iterator[ContextServer]:
    """Run a server without a limit on concurrent tasks."""
    engine = ContextEngine()
    state = folder / "state"
    options: dict[str, Any] = {"api_keys": (KEY,), "state_dir": state, "max_concurrent_tasks": 10_000, **settings}
    with serving(folder, engine, **options) as running:
        yield ContextServer(running, engine, state / "state.sqlite3")
