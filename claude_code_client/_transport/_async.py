"""Asynchronous I/O: the transport, and the driver that carries flows out. The twin of ``_sync``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import httpx

from .._config import Config
from .._flow import Command, Emit, Flow, Open, Read, Send, T
from ..errors import ClaudeAPIError, ConfigurationError
from ._attempts import Call, CallOptions, translate
from ._connect import default_headers, inner_arguments


class AsyncRetryTransport(httpx.AsyncBaseTransport):
    """Adds the key, retries, errors and logging to every request, also to those of generated endpoints."""

    def __init__(self, config: Config, inner: httpx.AsyncBaseTransport) -> None:
        self._config = config
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        call = Call(request, self._config)
        while True:
            problem: httpx.HTTPError | httpx.StreamError | None = None
            try:
                response = await self._inner.handle_async_request(call.next_request())
                if call.wants_body(response):
                    try:
                        await response.aread()
                    finally:
                        await response.aclose()
            except (httpx.HTTPError, httpx.StreamError) as error:
                problem = error
            # Decided outside of the handler: no exception of ours is to hold httpx's frames.
            if problem is not None:
                wait = call.after_failure(problem)
            elif response.is_success:
                call.succeeded(response)
                return response
            else:
                wait = call.after_refusal(response)
            await asyncio.sleep(wait)


class _Pools:
    """The connections of one client and of those made from it by ``with_options``: a pool for each event loop."""

    def __init__(self, config: Config) -> None:
        self._config = config
        # A connection belongs to the loop that opened it; a second asyncio.run() gets its own.
        self._by_loop: dict[asyncio.AbstractEventLoop, tuple[httpx.AsyncBaseTransport, AsyncGenerator[None, None]]] = {}
        self.closed = False

    def transport(self) -> httpx.AsyncBaseTransport:
        loop = asyncio.get_running_loop()
        pool = self._by_loop.get(loop)
        if pool is None:
            transport = httpx.AsyncHTTPTransport(**inner_arguments(self._config))
            guard = self._close_with_loop(loop, transport)
            # Run the guard up to its yield, so that the loop knows it and closes it when asyncio.run() ends.
            with suppress(StopIteration):
                guard.__anext__().send(None)
            pool = self._by_loop[loop] = (transport, guard)
        return pool[0]

    async def _close_with_loop(
        self, loop: asyncio.AbstractEventLoop, transport: httpx.AsyncBaseTransport
    ) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._by_loop.pop(loop, None)
            await transport.aclose()

    async def aclose(self) -> None:
        self.closed = True
        pool = self._by_loop.get(asyncio.get_running_loop())
        if pool is not None:
            await pool[1].aclose()


class AsyncConnection:
    """Connection pools to one server, and the driver of flows on them."""

    def __init__(self, config: Config, pools: _Pools | None = None) -> None:
        self.config = config
        self._owns_pools = pools is None
        self._pools = pools or _Pools(config)

    @property
    def http(self) -> httpx.AsyncClient:
        """An httpx client on the running loop's connections. Raises ConfigurationError once the pools are closed."""
        if self._pools.closed:
            raise ConfigurationError("This client is closed: make a new one.")
        return httpx.AsyncClient(
            base_url=self.config.base_url,
            headers=default_headers(self.config),
            transport=AsyncRetryTransport(self.config, self._pools.transport()),
            trust_env=False,
        )

    def reconfigured(self, config: Config) -> AsyncConnection:
        """The same pools with other options; closing it leaves the pools open."""
        return AsyncConnection(config, self._pools)

    async def aclose(self) -> None:
        if self._owns_pools:
            await self._pools.aclose()

    async def run(self, flow: Flow[T], on_emit: Callable[[Any], None] | None = None) -> T:
        """Carry a flow out and give its result."""
        result: list[T] = []
        async for value in self.iterate(flow, result):
            if on_emit is not None:
                on_emit(value)
        return result[0]

    async def iterate(self, flow: Flow[T], result: list[T] | None = None) -> AsyncGenerator[Any, None]:
        """Carry a flow out and give what it emits. Leaving early closes the flow and its connection.

        An asynchronous generator has no return value: the flow's is appended to ``result``.
        """
        http = self.http
        stream = _AsyncStream(http)
        try:
            command = next(flow)
            while True:
                if isinstance(command, Emit):
                    yield command.value
                    command = flow.send(None)
                    continue
                failure = None
                outcome: Any = None
                try:
                    outcome = await self._perform(command, http, stream)
                except ClaudeAPIError as error:
                    failure = error
                command = flow.throw(failure) if failure is not None else flow.send(outcome)
        except StopIteration as stop:
            if result is not None:
                result.append(stop.value)
        finally:
            flow.close()
            await stream.aclose()

    async def _perform(self, command: Command, http: httpx.AsyncClient, stream: _AsyncStream) -> Any:
        match command:
            case Send():
                options = CallOptions(deadline=command.deadline, repeatable=command.repeatable)
                return await http.request(**command.request, extensions=options.as_extensions())
            case Open():
                return await stream.open(command)
            case Read():
                return await stream.read()
            case _:
                raise TypeError(command)


class _AsyncStream:
    """What a flow has open: at most one response."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None

    async def open(self, command: Open) -> None:
        await self.aclose()
        options = CallOptions(deadline=command.deadline, stream=True, read_timeout=command.read_timeout)
        request = self._http.build_request(**command.request, extensions=options.as_extensions())
        request.headers["Accept"] = "text/event-stream"
        self._response = await self._http.send(request, stream=True)
        self._chunks = self._response.aiter_bytes()

    async def read(self) -> bytes | None:
        if self._response is None or self._chunks is None:
            return None
        try:
            return await anext(self._chunks, None)
        except (httpx.HTTPError, httpx.StreamError) as error:
            problem = error
        raise translate(problem, self._response.url)

    async def aclose(self) -> None:
        if self._response is not None:
            await self._response.aclose()
            self._response = None
