"""The embedded server on a fast engine that does what each task's ``context`` says, and what of it is in the store.

The HTTP, the store and the runner are the real ones; only what runs a task is not Claude Code.
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

from claude_code_server.engine.base import Emit, Order, Outcome, Spent, Stop
from support.clients.client_kinds import KEY
from support.servers.embedded_server import Running, serving

TIMEOUT = 20.0
"""Seconds until something that a test waits for counts as never."""


class ContextEngine:
    """A task's ``context`` may have: ``events``, how many it emits; ``seconds`` that it takes; ``hold``, to run until
    it is stopped; ``cost`` in USD; ``status``, how it ends.
    """

    name = "scripted"

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.forget()

    def forget(self) -> None:
        """Count from 0 on."""
        self.runs: Counter[str] = Counter()
        """By description."""
        self.running = 0
        self.most_committed = 0.0
        """The most that ended tasks had cost and running ones may have cost, together, at any moment; USD."""
        self._committed = 0.0

    async def run(self, order: Order, emit: Emit, stop: Stop) -> Outcome:
        context: dict[str, Any] = dict(order.context)
        spent = Spent(10, 5, float(context.get("cost", 0.0)))
        self._began(order)
        try:
            for number in range(context.get("events", 0)):
                emit("thinking", content=f"{number + 1}")
            if context.get("hold"):
                await stop.wait()
            elif seconds := context.get("seconds"):
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await stop.wait()
            summary = f"Done: {order.description}"
            status = stop.reason or context.get("status", "completed")
            return Outcome(status, summary=summary, result={"summary": summary}, spent=spent)
        finally:
            self._ended(order, spent.cost)

    async def aclose(self) -> None:
        return None

    def wait_until(self, condition: Callable[[], bool], seconds: float = TIMEOUT) -> None:
        """Wait until something is so of the runs; fails if it never is."""
        with self._changed:
            assert self._changed.wait_for(condition, seconds), (self.running, self.runs)

    def _began(self, order: Order) -> None:
        with self._changed:
            self.runs[order.description] += 1
            self.running += 1
            self._committed += order.max_cost
            self.most_committed = max(self.most_committed, self._committed)
            self._changed.notify_all()

    def _ended(self, order: Order, cost: float) -> None:
        with self._changed:
            self.running -= 1
            self._committed += cost - order.max_cost
            self._changed.notify_all()


@dataclass(frozen=True)
class ContextServer:
    server: Running
    engine: ContextEngine
    _file: Path
    _before: tuple[int, int] = (0, 0)
    """Tasks and bills that do not count."""

    @property
    def address(self) -> tuple[str, int]:
        return self.server.address

    @property
    def base_url(self) -> str:
        return self.server.base_url

    def tasks(self) -> list[tuple[str, str, str]]:
        """Id, status and description of every task in the store, in the order that they came."""
        rows = self._query("SELECT id, status, description FROM tasks ORDER BY n LIMIT -1 OFFSET ?", self._before[0])
        return [(str(id_), str(status), str(description)) for id_, status, description in rows]

    def billed(self) -> int:
        """How many tasks and completions were billed."""
        return int(self._query("SELECT count(*) FROM usage")[0][0]) - self._before[1]

    def described(self) -> Counter[str]:
        """How many tasks there are in the store, by description."""
        return Counter(description for _, _, description in self.tasks())

    def statuses(self) -> Counter[str]:
        """How many tasks there are in the store, by status."""
        return Counter(status for _, status, _ in self.tasks())

    @contextmanager
    def afresh(self) -> Iterator[ContextServer]:
        """The same server as if it were new; its tasks end with the ``with``."""
        self.engine.forget()
        try:
            yield replace(self, _before=(len(self.tasks()), self.billed()))
        finally:
            for id_, status, _ in self.tasks():
                if status in ("pending", "running"):
                    self.server.services.loop.call_soon_threadsafe(self.server.services.runner.cancel, id_)
            self.engine.wait_until(lambda: self.engine.running == 0)

    def _query(self, sql: str, *values: int) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)) as database:
            return database.execute(sql, values).fetchall()


@contextmanager
def context_server(folder: Path, **settings: Any) -> Iterator[ContextServer]:
    """A server that runs as many tasks at once as it is given."""
    engine = ContextEngine()
    state = folder / "state"
    told: dict[str, Any] = {"api_keys": (KEY,), "state_dir": state, "max_concurrent_tasks": 10_000, **settings}
    with serving(folder, engine, **told) as running:
        yield ContextServer(running, engine, state / "state.sqlite3")
