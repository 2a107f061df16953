"""The parts of one server, put together, started and stopped."""

import asyncio
import contextlib
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from . import upstream as upstreams
from .auth import Keys
from .contract import Contract
from .engine.base import Engine
from .generations import Generations
from .runner import Runner
from .settings import Settings
from .store import Store
from .upstream import Upstream

if TYPE_CHECKING:
    from .engine.claude_code import ClaudeCodeEngine

_SETTLED = 0.5


class Services:
    """What the handlers work with, between ``__aenter__`` and ``__aexit__``, on one event loop."""

    store: Store
    engine: Engine
    runner: Runner
    generations: Generations
    loop: asyncio.AbstractEventLoop

    def __init__(
        self,
        settings: Settings,
        engine: Engine | None = None,
        upstream: Upstream | None = None,
        contract: Contract | None = None,
    ) -> None:
        """Raises ValueError for an upstream that cannot be meant. An engine and upstream given here are not closed."""
        self.settings = settings
        self.contract = contract or Contract.bundled()
        self.keys = Keys(settings.api_keys)
        self._own_upstream = upstream is None
        self.upstream = upstream or upstreams.open(settings.upstream, settings.upstream_key)
        self._given_engine = engine
        self._stack = contextlib.AsyncExitStack()
        self._background: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        """Raises StoreError, or what the engine raises when it cannot run here."""
        self.loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            if self._own_upstream:
                stack.push_async_callback(self.upstream.aclose)
            folder = self.settings.state_dir or Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="claude-code-api-", ignore_cleanup_errors=True))
            )
            self.store = stack.enter_context(Store(folder))
            self.engine = self._given_engine or await self._claude_code(stack, folder)
            self.runner = Runner(
                self.engine,
                self.store,
                at_once=self.settings.max_concurrent_tasks,
                stop_grace=self.settings.stop_grace,
            )
            self.runner.recover()
            self.generations = Generations(self.upstream, self.store)
            stack.push_async_callback(self.stop)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def stop(self) -> None:
        """End all work; whoever waits for it or follows it gets to its end. More is refused from here on."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(self.generations.aclose(), self.runner.aclose(self.settings.shutdown_grace))

    async def _claude_code(self, stack: contextlib.AsyncExitStack, folder: Path) -> Engine:
        from .engine.claude_code import ClaudeCodeEngine
        from .relay import Relay

        relay = Relay(self.upstream)
        await relay.start()
        stack.push_async_callback(relay.aclose)
        engine = ClaudeCodeEngine(relay, folder)
        stack.push_async_callback(engine.aclose)
        self._in_background(_warm(engine))
        return engine

    def _in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


async def _warm(engine: "ClaudeCodeEngine") -> None:
    """Not at once: a server that is stopped again soon, or answers completions alone, has no use for it."""
    await asyncio.sleep(_SETTLED)
    await engine.warm()
