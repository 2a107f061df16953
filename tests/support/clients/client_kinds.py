"""One test body for the synchronous and the asynchronous client."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from claude_code_client import AsyncClaudeClient, ClaudeClient

KEY = "sk-proj-test-key"


class ClientKind:
    """Calls either client from synchronous code. Clients that it makes are closed with it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.client_class: Any = ClaudeClient if kind == "sync" else AsyncClaudeClient
        self._runner = asyncio.Runner() if kind == "async" else None
        self._clients: list[Any] = []

    def client(self, base_url: str, **options: Any) -> Any:
        return self.keep(self.client_class(**{"api_key": KEY, "base_url": base_url, **options}))

    def local(self, *arguments: Any, **options: Any) -> Any:
        return self.keep(self.client_class.local(*arguments, **options))

    def keep(self, client: Any) -> Any:
        self._clients.append(client)
        return client

    def call(self, result: Any) -> Any:
        """The result of a method, awaited where it is to be."""
        if self._runner is None or not inspect.isawaitable(result):
            return result

        async def wait() -> Any:
            return await result

        return self._runner.run(wait())

    def each(self, stream: Any) -> Iterator[Any]:
        """The items of a stream; leaving early closes it."""
        if self._runner is None:
            yield from stream
            return
        end = object()

        async def step() -> Any:
            return await anext(stream, end)

        try:
            while (item := self.call(step())) is not end:
                yield item
        finally:
            self.call(stream.aclose())

    def endpoint(self, module: Any) -> Any:
        """A generated endpoint's function for direct calls."""
        return module.sync_detailed if self.kind == "sync" else module.asyncio_detailed

    def close(self) -> None:
        for client in self._clients:
            self.call(client.close())
        if self._runner is not None:
            self._runner.close()


@contextmanager
def open_client_kind(kind: str) -> Iterator[ClientKind]:
    both = ClientKind(kind)
    try:
        yield both
    finally:
        both.close()
