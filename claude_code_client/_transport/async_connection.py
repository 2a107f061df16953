"""Connection of the asynchronous client: its pools, its HTTP clients, and the operations that run on them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from .._config import Config
from .._operations.client_state import ClientState
from .._operations.effects import Emit, Operation, T
from .async_background import AsyncBackground
from .async_driver import AsyncDriver
from .async_execution import AsyncExecution
from .async_origin_transport import AsyncOriginTransport
from .async_pool import AsyncPools, Call
from .async_transport import AsyncRetryTransport
from .attempts import Observe
from .background import BackgroundWork
from .cancellation import AsyncCancelToken
from .foreign_errors import await_callback, call_callback
from .request_builder import RequestBuilder
from .sync_connection import finish_in_thread
from .sync_driver import SyncDriver as SyncDriver  # finish_in_thread may be called when no more can be imported

if TYPE_CHECKING:
    import httpx

    from .endpoint_clients import AsyncEndpointClient

Attach = Callable[[Any, "AsyncConnection"], object]
"""Called with every value that leaves the connection: results, emitted values and exceptions."""


class AsyncConnection:
    """Connections to one server, and the operations that run on them. Usable in several event loops."""

    def __init__(
        self,
        config: Config,
        state: ClientState,
        *,
        attach: Attach | None = None,
        pools: AsyncPools | None = None,
        observe: Observe | None = None,
    ) -> None:
        self.config = config
        self.state = state
        self._attach = attach
        self._observe = observe
        self._owns_pools = pools is None
        self._pools = pools or AsyncPools(config)
        self._requests = RequestBuilder(config)
        self._http: tuple[AsyncOriginTransport, AsyncRetryTransport] | None = None
        self._checked_http: tuple[AsyncRetryTransport, AsyncEndpointClient] | None = None
        # Without a reference to the connection, which background work must not keep alive.
        self._finish_in_thread = partial(finish_in_thread, config, state)

    @property
    def http(self) -> AsyncRetryTransport:
        """The transport on the running loop's connections. Raises ConfigurationError if the pools are closed."""
        return self._http_on(self._pools.transport())

    @property
    def checked_http(self) -> httpx.AsyncClient:
        """An httpx client for generated endpoints, which raises for responses that they cannot read."""
        from .endpoint_clients import AsyncEndpointClient  # with httpx, which own calls do without

        http, current = self.http, self._checked_http
        if current is None or current[0] is not http or current[1].is_closed:
            self._checked_http = current = (http, AsyncEndpointClient(http, self.config))
        return current[1]

    def reconfigured(self, config: Config) -> AsyncConnection:
        """Return a connection with other options on the same pools; closing it leaves the pools open."""
        return AsyncConnection(config, self.state, attach=self._attach, pools=self._pools)

    def observed(self, state: ClientState, observe: Observe) -> AsyncConnection:
        """Return a connection with another state on the same pools, whose responses are shown to ``observe``."""
        return AsyncConnection(self.config, state, attach=self._attach, pools=self._pools, observe=observe)

    def keep(self, call: Call) -> None:
        """End a call of several operations with the pools, until it is dropped.

        Raises ConfigurationError if the pools are closed.
        """
        self._pools.transport()
        self._pools.calls.add(call)

    def drop(self, call: Call) -> None:
        """Leave a call, which has ended, to its owner."""
        self._pools.calls.discard(call)

    async def aclose(self) -> None:
        """End the calls in progress and close the running loop's pool, unless another connection owns the pools."""
        if self._owns_pools:
            await self._pools.aclose()

    async def run(self, operation: Operation[T], on_emit: Callable[[Any], object] | None = None) -> T:
        """Carry out an operation and return its result.

        ``on_emit`` is called with the values that the operation emits; an awaitable that it returns is awaited.
        """
        execution = self._start(operation)
        try:
            async with execution.turn:
                while isinstance(step := await execution.advance(), Emit):
                    if on_emit is not None:
                        try:
                            if inspect.isawaitable(awaitable := call_callback(on_emit, step.value)):
                                await await_callback(awaitable)
                        except StopIteration as cause:
                            await execution.abort(cause)
                            # A coroutine cannot raise it.
                            error = RuntimeError("on_event raised StopIteration")
                            raise error.with_traceback(cause.__traceback__) from None
                        except BaseException as cause:
                            await execution.abort(cause)
                            raise
                return step.value
        finally:
            await execution.aclose()

    async def run_cleanup(self, operation: Callable[[], Operation[None]]) -> None:
        """Carry out an operation that cleans up; in a thread if this connection is closed.

        Cancelling the caller ends the wait, not the operation.
        """
        background = self._in_background(BackgroundWork.spawn(operation()))
        try:
            await asyncio.shield(background.done)
        except BaseException:
            background.watch()
            raise

    def stream(self, operation: Operation[Any]) -> AsyncExecution[Any]:
        """Return an iterator of the values that an operation emits.

        Close the iterator with ``aclose()``. It is not an asynchronous generator, so that the one that the client
        wraps around it is the only one; see ``AsyncExecution``.
        """
        return self._start(operation)

    def _start(self, operation: Operation[T]) -> AsyncExecution[T]:
        token = AsyncCancelToken()
        return AsyncExecution(
            operation,
            AsyncDriver(lambda: self.http, token, self._spawn),
            token,
            self._pools,
            attached=self._attached,
            in_background=self._in_background,
            finish_in_thread=self._finish_in_thread,
            on_emit=None if self.state.hooks is None or self.state.hooks.on_event is None else self._tell,
        )

    def _spawn(self, operation: Operation[Any]) -> None:
        self._in_background(BackgroundWork.spawn(operation)).watch()

    def _in_background(self, work: BackgroundWork) -> AsyncBackground:
        background = AsyncBackground(work, self._background_driver, self._finish_in_thread)
        self._pools.keep(background)
        return background

    def _background_driver(self) -> AsyncDriver | None:
        transport = self._pools.open_transport()
        if transport is None:
            return None
        http = self._http_on(transport)
        return AsyncDriver(lambda: http, AsyncCancelToken(), self._spawn)

    def _attached(self, value: Any) -> Any:
        if self._attach is not None:
            self._attach(value, self)
        return value

    async def _tell(self, emit: Emit) -> None:
        from .._operations.hooks import event_info
        from .hook_calls import tell_async

        hooks, info = self.state.hooks, event_info(emit)
        if hooks is not None and hooks.on_event is not None and info is not None:
            await tell_async("on_event", hooks.on_event, info)

    def _http_on(self, transport: AsyncOriginTransport) -> AsyncRetryTransport:
        current = self._http
        if current is None or current[0] is not transport:
            self._http = current = (transport, self._retrying(transport))
        return current[1]

    def _retrying(self, transport: AsyncOriginTransport) -> AsyncRetryTransport:
        return AsyncRetryTransport(
            self.config, self._requests, transport, self.state, lambda: self._pools.closed, self._observe
        )
