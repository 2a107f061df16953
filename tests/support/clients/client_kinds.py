"""One interface to both kinds of client, for tests that cover the synchronous and the asynchronous one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from claude_code_client import AsyncClaudeClient, ClaudeClient

KEY = "sk-proj-test-key"


class ClientKind:
    """Kind of client, ``"sync"`` or ``"async"``, called from synchronous code; closes the clients that it creates."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.client_class: Any = ClaudeClient if kind == "sync" else AsyncClaudeClient
        self._runner = asyncio.Runner() if kind == "async" else None
        self._clients: list[Any] = []

    def client(self, base_url: str, **options: Any) -> Any:
        """Return a client of this kind with the tests' API key."""
        return self.keep(self.client_class(**{"api_key": KEY, "base_url": base_url, **options}))

    def local(self, *arguments: Any, **options: Any) -> Any:
        """Return a client of this kind with its own embedded server."""
        return self.keep(self.client_class.local(*arguments, **options))

    def keep(self, client: Any) -> Any:
        """Close the client at the end of the test; return it."""
        self._clients.append(client)
        return client

    def call(self, result: Any) -> Any:
        """Return a method's result, awaited if need be."""
        if self._runner is None or not inspect.isawaitable(result):
            return result

        async def wait() -> Any:
            return await result

        return self._runner.run(wait())

    def each(self, stream: Any) -> Iterator[Any]:
        """Iterate over a stream; leaving the loop early closes the stream."""
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
        """Return the function of a generated endpoint module that calls it directly."""
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
