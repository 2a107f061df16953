"""Service container: creates, connects, starts and stops the parts of one server."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self

from ..contract.operations import Contract
from ..domain.engine_protocol import Engine
from ..domain.model_catalog import Tariff
from ..domain.settings import Settings
from ..engine.agent_library import AgentLibrary, library_of
from ..engine.changed_files import ArtifactLimits
from ..engine.claude_code import ClaudeCodeEngine
from ..engine.model_proxy import ModelProxy
from ..engine.sandbox import open_sandbox
from ..engine.worktree import PATCHES, open_isolation
from ..runtime.shared_results import SharedResults
from ..storage.store import Store
from ..upstream.factory import open_upstreams
from ..upstream.protocol import Upstream
from ..upstream.router import UpstreamRouter
from .admission import Admission
from .auth import ApiKeys
from .completions import CompletionRunner
from .connections import Followers
from .disk_guard import DiskGuard
from .event_batches import EventBatch
from .key_accounts import KeyAccounts
from .metrics import Metrics
from .pruner import Pruner
from .queued_tasks import QueuedTaskCheck
from .stored_keys import StoredKeys
from .task_progress import EventLimits
from .task_queue import QueueLimits, TaskQueue
from .task_runner import TaskRunner

_EVENT_BATCH_BYTES: Final = 2_000_000
_PRELOAD_DELAY: Final = 2.0
"""Seconds. A server that stops soon, or serves completions only, never needs the preload."""


class Services:
    """Parts of one server, usable between ``__aenter__`` and ``__aexit__``, on one event loop."""

    store: Store
    engine: Engine
    task_runner: TaskRunner
    completions: CompletionRunner
    api_keys: ApiKeys
    accounts: KeyAccounts
    admission: Admission
    disk_guard: DiskGuard
    event_batches: SharedResults[EventBatch]
    """Events that were read and encoded last: many followers of one task ask for the same ones."""
    loop: asyncio.AbstractEventLoop

    def __init__(
        self,
        settings: Settings,
        engine: Engine | None = None,
        upstream: Upstream | None = None,
        contract: Contract | None = None,
    ) -> None:
        """Configure a server; by default with Claude Code and the upstream in ``settings``.

        An engine or upstream passed here stays open at the end. Raise ValueError for an invalid upstream.
        """
        self.settings = settings
        self.contract = contract or Contract.bundled()
        self.event_batches = SharedResults(_EVENT_BATCH_BYTES, lambda batch: len(batch.data))
        self.followers = Followers(settings)
        self._owns_upstream = upstream is None
        self.upstream = upstream or open_upstreams(settings)
        find_source = self.upstream.find if isinstance(self.upstream, UpstreamRouter) else None
        self.tariff = Tariff(settings.catalog, self.upstream.free, self.upstream.local, find_source)
        self.agent_library = library_of(settings) if settings.workspace_agents else AgentLibrary()
        self.metrics = Metrics(settings.catalog)
        self._given_engine = engine
        self._stopping = False
        self._stack = contextlib.AsyncExitStack()
        self._background: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        """Start all parts. Raise StoreError, or UnavailableError if Claude Code or its sandbox cannot run here."""
        self.loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            if self._owns_upstream:
                stack.push_async_callback(self.upstream.aclose)
            state_dir = self.settings.state_dir or Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="claude-code-api-", ignore_cleanup_errors=True))
            )
            self.patches = state_dir.resolve() / PATCHES
            self.store = stack.enter_context(Store(state_dir))
            self.disk_guard = DiskGuard((state_dir, self.settings.workspace), self.settings.min_free_bytes)
            self.engine = self._given_engine or await self._start_claude_code(stack, state_dir)
            stored_keys = StoredKeys(self.store.keys, self._stop_work_of)
            self.api_keys = ApiKeys(self.settings.api_keys, stored_keys)
            self.accounts = KeyAccounts(self.store.keys, self.api_keys.permissions)
            self.task_runner = TaskRunner(
                self.engine,
                self.store,
                self._task_queue(),
                cancel_grace=self.settings.cancel_grace,
                limits=EventLimits(
                    max_events=self.settings.max_task_events, max_bytes=self.settings.max_task_event_bytes
                ),
                check=QueuedTaskCheck(self.settings, self.api_keys, self.tariff),
                metrics=self.metrics,
                account_of=self.accounts.of,
            )
            self.admission = Admission(self.task_runner, self.accounts)
            self.store.charge_reservations()
            self.completions = CompletionRunner(self.upstream, self.tariff, self.store, self.accounts, self.metrics)
            stack.push_async_callback(self.stop)
            self.task_runner.recover()
            self._run_in_background(stored_keys.watch())
            keep_days = self.settings.keep_days
            keep = None if keep_days is None else timedelta(days=keep_days)
            self._run_in_background(Pruner(self.store.retention, keep, patches=self.patches).run())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def failing_parts(self) -> list[str]:
        """Return what keeps the server from taking new work; nothing if it is ready."""
        failing = {
            "server": self._stopping,
            "store": self.store.has_deferred(),
            "disk": self.disk_guard.is_low(),
        }
        return [name for name in failing if failing[name]]

    async def stop(self) -> None:
        """End all work, so that whoever waits for it or follows it reaches its end, and refuse new work.

        Pending tasks wait for the next server if the state directory stays.
        """
        self._stopping = True
        for task in self._background:
            task.cancel()
        closing = self.task_runner.aclose(self.settings.shutdown_grace, keep_queued=self.settings.state_dir is not None)
        await asyncio.gather(self.completions.aclose(), closing)

    def _stop_work_of(self, key_id: str) -> None:
        """End all work of a key that has been revoked or has expired."""
        self.task_runner.cancel_all_of(key_id)
        self.completions.cancel_all_of(key_id)

    def _task_queue(self) -> TaskQueue:
        return TaskQueue(
            QueueLimits(
                max_running=self.settings.max_concurrent_tasks,
                max_queued=self.settings.max_queued_tasks,
                max_queued_per_key=self.settings.max_queued_tasks_per_key,
            )
        )

    async def _start_claude_code(self, stack: contextlib.AsyncExitStack, state_dir: Path) -> Engine:
        proxy = ModelProxy(self.upstream, self.tariff)
        await proxy.start()
        stack.push_async_callback(proxy.aclose)
        isolation = None
        if self.settings.isolate is not None:
            isolation = open_isolation(self.settings.workspace, state_dir)
        artifact_limits = ArtifactLimits(
            max_files=self.settings.max_artifacts, max_bytes=self.settings.max_artifact_bytes
        )
        engine = ClaudeCodeEngine(
            proxy,
            state_dir,
            library=self.agent_library,
            sandbox=open_sandbox(self.settings, state_dir),
            isolation=isolation,
            artifact_limits=artifact_limits,
        )
        stack.push_async_callback(engine.aclose)
        self._run_in_background(_preload(engine))
        return engine

    def _run_in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


async def _preload(engine: ClaudeCodeEngine) -> None:
    await asyncio.sleep(_PRELOAD_DELAY)
    await engine.preload()
