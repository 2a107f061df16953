"""Asynchronous I/O: the transport, and the driver that carries operations out. The twin of ``_sync``."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import closing, suppress
from typing import Any, Final, Generic, Self

import attrs
import httpx

from .._config import Config
from .._operations.client_state import ClientState
from .._operations.effects import Effect, Emit, Head, Open, Operation, Read, RunBlocking, Send, Sleep, Spawn, T
from .._policy.retry_quota import RetryQuota
from ..errors import ClaudeAPIError, ClosedError, ConfigurationError
from .attempts import Call, RequestContext, cut, head, opening
from .cancellation import CLOSED_MEANWHILE
from .http_options import CLOSED, check_url, default_headers, inner_arguments
from .response_check import check_async
from .sync_driver import SyncConnection, elsewhere

Attach = Callable[[Any, "AsyncConnection"], object]
"""Called with every value that leaves the driver: results, emitted values and exceptions."""


class AsyncRetryTransport(httpx.AsyncBaseTransport):
    """Adds the key, retries, errors and logging to every request, also to those of generated endpoints."""

    def __init__(
        self, config: Config, inner: httpx.AsyncBaseTransport, quota: RetryQuota, is_closed: Callable[[], bool]
    ) -> None:
        self._config = config
        self._inner = inner
        self._quota = quota
        self._is_closed = is_closed

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        call = Call(request, self._config, self._quota)
        try:
            return await self._handle(call)
        except asyncio.CancelledError:
            call.cancelled()
            raise

    async def _handle(self, call: Call) -> httpx.Response:
        while True:
            outcome = await self._attempt(call)
            # Decided outside of the handler: no exception of ours is to hold httpx's frames.
            if isinstance(outcome, Exception):
                if self._is_closed():
                    raise call.closed()
                wait = call.after_failure(outcome)
            elif outcome.is_success:
                call.succeeded(outcome)
                return outcome
            else:
                wait = call.after_refusal(outcome)
            await asyncio.sleep(wait)

    async def _attempt(self, call: Call) -> httpx.Response | httpx.HTTPError | httpx.StreamError:
        try:
            async with _until(call.deadline):
                response = await self._inner.handle_async_request(call.next_request(call.atrace))
                if call.wants_body(response):
                    try:
                        await response.aread()
                    finally:
                        await response.aclose()
        except (httpx.HTTPError, httpx.StreamError) as error:
            return error
        except TimeoutError:
            return httpx.ReadTimeout(_OVERDUE)
        return response


def _until(deadline: float) -> asyncio.Timeout:
    """Ends what runs within at ``deadline`` (monotonic seconds), with TimeoutError."""
    return asyncio.timeout(max(deadline - time.monotonic(), 0.0))


_OVERDUE: Final = "deadline"


class _Pools:
    """The connections of one client and of those made from it by ``with_options``: a pool for each event loop."""

    def __init__(self, config: Config) -> None:
        check_url(config)
        self._config = config
        # A connection belongs to the loop that opened it; a second asyncio.run() gets its own.
        self._by_loop: dict[asyncio.AbstractEventLoop, tuple[httpx.AsyncBaseTransport, AsyncGenerator[None, None]]] = {}
        # Strong: the collector would close a operation together with the cycle that it is in, before it could tidy up.
        self.under_way: set[AsyncExecution[Any]] = set()
        self.closed = False

    def transport(self) -> httpx.AsyncBaseTransport:
        if self.closed:
            raise ConfigurationError(CLOSED)
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
        for execution in list(self.under_way):
            execution.cancel()
        pool = self._by_loop.get(asyncio.get_running_loop())
        if pool is not None:
            await pool[1].aclose()


class AsyncConnection:
    """Connection pools to one server, and the driver of operations on them."""

    def __init__(
        self, config: Config, state: ClientState, *, attach: Attach | None = None, pools: _Pools | None = None
    ) -> None:
        self.config = config
        self.state = state
        self._attach = attach
        self._owns_pools = pools is None
        self._pools = pools or _Pools(config)
        self._http: tuple[httpx.AsyncBaseTransport, httpx.AsyncClient] | None = None

    @property
    def http(self) -> httpx.AsyncClient:
        """An httpx client on the running loop's connections. Raises ConfigurationError once the pools are closed."""
        transport, current = self._pools.transport(), self._http
        if current is None or current[0] is not transport:
            self._http = current = (transport, self._on(transport))
        return current[1]

    @property
    def checked_http(self) -> httpx.AsyncClient:
        """The same for generated endpoints called directly: answers that they cannot read raise."""
        http = self._on(self._pools.transport())
        http.event_hooks = {"response": [check_async]}
        return http

    def _on(self, transport: httpx.AsyncBaseTransport) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.config.base_url,
            headers=default_headers(self.config),
            transport=AsyncRetryTransport(self.config, transport, self.state.quota, lambda: self._pools.closed),
            trust_env=False,
        )

    def reconfigured(self, config: Config) -> AsyncConnection:
        """The same pools with other options; closing it leaves the pools open."""
        return AsyncConnection(config, self.state, attach=self._attach, pools=self._pools)

    async def aclose(self) -> None:
        if self._owns_pools:
            await self._pools.aclose()

    async def run(self, operation: Operation[T], on_emit: Callable[[Any], object] | None = None) -> T:
        """Carry a operation out and give its result; what it emits goes to ``on_emit``, which may be awaitable."""
        execution = self.start(operation)
        try:
            while isinstance(step := await execution.advance(), Emit):
                if on_emit is not None:
                    try:
                        if inspect.isawaitable(waited_for := on_emit(step.value)):
                            await waited_for
                    except BaseException as cause:
                        await execution.abandon(cause)
                        raise
            return step.value
        finally:
            await execution.aclose()

    def stream(self, operation: Operation[Any]) -> tuple[AsyncExecution[Any], Callable[[], None]]:
        """Return an iterator of what the operation emits, and a callable that ends it from any task or thread.

        The iterator is no asynchronous generator: the one that the caller wraps around it has to be the only one (see
        ``AsyncExecution``). Close it with ``aclose()``.
        """
        execution = self.start(operation)
        return execution, execution.cancel

    def attached(self, value: T) -> T:
        """Return the value, after ``attach`` was called with it."""
        if self._attach is not None:
            self._attach(value, self)
        return value

    def start(self, operation: Operation[T]) -> AsyncExecution[T]:
        """A operation to carry out step by step. Close it in the end: that closes its connection too."""
        return AsyncExecution(self, self._pools, operation)


@attrs.frozen
class Done(Generic[T]):
    """A operation's end, and its result."""

    value: T = attrs.field(repr=False)


class AsyncExecution(Generic[T]):
    """A operation that is being carried out.

    Not an asynchronous generator, so that the one that a user holds is the only one: when an event loop ends it closes
    all generators at once, and two of which one closes the other get in each other's way.
    """

    def __init__(self, connection: AsyncConnection, pools: _Pools, operation: Operation[T]) -> None:
        self._connection = connection
        self._pools = pools
        self._flow = operation
        self._process = os.getpid()
        self._stream: _AsyncStream | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: asyncio.Timeout | None = None
        self._cancelled = False
        self._closed: ClosedError | None = None
        """What is known of the request that was under way when it was cancelled."""
        self._tidied: asyncio.Future[None] | None = None
        """Of the tidying up, once it has begun."""

    def cancel(self) -> None:
        """End what it waits for, and whatever it would wait for, with ClosedError; from whichever task or thread."""
        if self._process != os.getpid():
            return
        self._cancelled = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.expired():
            self._waiting.reschedule(0)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        step = await self.advance()
        if isinstance(step, Emit):
            return step.value
        raise StopAsyncIteration

    async def advance(self) -> Emit | Done[T]:
        """Go on to the next value that the operation emits, or to its end."""
        self._loop = asyncio.get_running_loop()
        self._pools.under_way.add(self)
        outcome: Any = None
        failure: ClaudeAPIError | None = None
        try:
            while True:
                command = self._flow.send(outcome) if failure is None else self._flow.throw(failure)
                if isinstance(command, Emit):
                    self._connection.attached(command.value)
                    return command
                outcome = failure = None
                try:
                    outcome = await self._perform_unless_cancelled(command)
                except ClaudeAPIError as error:
                    failure = error
        except StopIteration as stop:
            return Done(self._connection.attached(stop.value))
        except BaseException as cause:
            self._connection.attached(cause)
            await self.abandon(cause)
            raise

    async def _perform_unless_cancelled(self, command: Effect) -> Any:
        if isinstance(command, Spawn):
            return elsewhere(self._connection.config, self._connection.state, command.operation)
        if isinstance(command, RunBlocking):
            return await asyncio.to_thread(command.work)
        if not self._cancelled:
            try:
                async with asyncio.timeout(None) as self._waiting:
                    return await self._perform(command)
            except ClaudeAPIError:
                raise
            except TimeoutError:
                if not self._cancelled:
                    raise
            finally:
                self._waiting = None
        error, self._closed = self._closed, None
        raise error or ClosedError(CLOSED_MEANWHILE)

    def _note_closed(self, error: ClosedError) -> None:
        self._closed = error

    async def abandon(self, cause: BaseException | None) -> None:
        """Abort a suspended operation and run its cleanup.

        A thread does it, on a connection of its own: the event loop may be ending, or this task be cancelled again.
        """
        if self._tidied is not None:
            # Cancelled once more: the thread goes on.
            await asyncio.shield(self._tidied)
            return
        if inspect.getgeneratorstate(self._flow) != inspect.GEN_SUSPENDED or self._process != os.getpid():
            return
        loop = asyncio.get_running_loop()
        done = self._tidied = loop.create_future()

        def settle() -> None:
            if not done.done():
                done.set_result(None)

        def work() -> None:
            try:
                with closing(SyncConnection(self._connection.config, self._connection.state)) as connection:
                    connection.abandon(self._flow, cause)
            finally:
                with suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(settle)

        threading.Thread(target=work, name="claude-code-client: tidy up").start()
        await asyncio.shield(done)

    async def aclose(self) -> None:
        """End the operation where it is, once it has tidied up."""
        self._pools.under_way.discard(self)
        await self.abandon(None)
        if inspect.getgeneratorstate(self._flow) != inspect.GEN_RUNNING:
            self._flow.close()
        if self._stream is not None:
            await self._stream.aclose()

    async def _perform(self, command: Effect) -> Any:
        match command:
            case Send():
                options = RequestContext(
                    deadline=command.deadline, repeatable=command.repeatable, on_cancelled=self._note_closed
                )
                return await self._connection.http.request(**command.request, extensions=options.as_extensions())
            case Open():
                if self._stream is None:
                    self._stream = _AsyncStream(self._connection.http)
                return await self._stream.open(command)
            case Read():
                return None if self._stream is None else await self._stream.read(command)
            case Sleep():
                return await asyncio.sleep(command.seconds)
            case _:
                raise TypeError(command)


class _AsyncStream:
    """What a operation has open: at most one response."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None
        self._deadline = 0.0

    async def open(self, command: Open) -> Head:
        await self.aclose()
        self._deadline = command.deadline
        request = opening(self._http.build_request, command, None)
        self._response = await self._http.send(request, stream=True)
        self._chunks = self._response.aiter_bytes()
        return head(self._response)

    async def read(self, command: Read) -> bytes | None:
        if self._response is None or self._chunks is None:
            return None
        until = min(command.until, self._deadline)
        problem: httpx.HTTPError | httpx.StreamError
        try:
            async with _until(until):
                return await anext(self._chunks, None)
        except TimeoutError:
            problem = httpx.ReadTimeout(_OVERDUE)
        except (httpx.HTTPError, httpx.StreamError) as error:
            problem = error
        raise cut(problem, self._response, overdue=time.monotonic() >= until)

    async def aclose(self) -> None:
        if self._response is not None:
            await self._response.aclose()
            self._response = None
