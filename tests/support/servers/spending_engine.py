"""Engine whose tasks never stop calling the model, through the real model proxy, without Claude Code.

As a program, ``python -m support.servers.spending_engine WORKSPACE STATE UPSTREAM``, a server with this engine that a
test can kill. It prints its URL.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import httpx

from claude_code_server.domain.engine_protocol import CancelToken, EventSink, Outcome, TaskSpec
from claude_code_server.domain.model_catalog import ModelCatalog, Tariff
from claude_code_server.engine.model_proxy import ModelProxy
from claude_code_server.upstream.factory import open_upstream
from support.servers.embedded_server import serving

GIVEN: Final = "sk-proj-given"
_REQUEST: Final[dict[str, Any]] = {
    "max_tokens": 128_000,
    "stream": True,
    "messages": [{"role": "user", "content": "Go on. " * 200}],
}


class SpendingEngine:
    """Engine whose runs end only when their model calls are refused, or when they are cancelled."""

    name = "spending"

    def __init__(self, upstream_url: str) -> None:
        self._url = upstream_url
        self._proxy: ModelProxy | None = None
        self._running = 0
        self._stack = AsyncExitStack()

    async def run(self, spec: TaskSpec, events: EventSink, cancellation: CancelToken) -> Outcome:
        self._running += 1
        if self._proxy is None:
            upstream = open_upstream(self._url, "sk-real")
            self._stack.push_async_callback(upstream.aclose)
            self._proxy = ModelProxy(upstream, Tariff(ModelCatalog(), free=upstream.free, local=upstream.local))
            self._started = asyncio.ensure_future(self._proxy.start())
            self._stack.push_async_callback(self._proxy.aclose)
        try:
            await self._started
            with self._proxy.issue_credential(spec, cancellation, events.report_usage, events.budget) as credential:
                async with httpx.AsyncClient(headers={"x-api-key": credential.key}, timeout=20, verify=False) as http:
                    while cancellation.reason is None:
                        await http.post(f"{self._proxy.base_url}/v1/messages", json={**_REQUEST, "model": spec.model})
        finally:
            self._running -= 1
            if not self._running:
                self._proxy = None
                await self._stack.aclose()
        error = ("cost_exceeded_error", f"exceeded {credential.exceeded or 'max_cost'}")
        return Outcome(cancellation.reason or "failed", usage=credential.usage, error=error)

    async def aclose(self) -> None:
        return None


if __name__ == "__main__":
    workspace, state, url = sys.argv[1:]
    with serving(
        Path(workspace), SpendingEngine(url), api_keys=(GIVEN,), state_dir=Path(state), upstream=url,
        upstream_key="sk-real", model="haiku", max_concurrent_tasks=8,
    ) as running:  # fmt: skip
        sys.stdout.write(running.base_url + "\n")
        sys.stdout.flush()
        threading.Event().wait()
