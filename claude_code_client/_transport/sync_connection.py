"""Connection of the synchronous client: its pool, its HTTP clients, and the operations that run on them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from .._config import Config
from .._operations.client_state import ClientState
from .._operations.effects import Emit, Operation, T
from ..errors import ClosedError, ConfigurationError
from .background import BackgroundWork
from .background_threads import start_thread
from .cancellation import CLOSED_DURING_CALL, CancelToken
from .foreign_errors import call_callback
from .request_builder import RequestBuilder
from .sync_pool import Call, SyncPool
from .sync_stream import SyncStream

if TYPE_CHECKING:
    import httpx

    from .endpoint_clients import SyncEndpointClient
    from .sync_driver import OwnedOperation, SyncDriver
    from .sync_origin_transport import SyncOriginTransport
    from .sync_transport import SyncRetryTransport

BACKGROUND_THREAD: Final = "claude-code-client: background"
"""Name of the threads that carry out background work."""

Attach = Callable[[Any, "SyncConnection"], object]
"""Called with every value that leaves the connection: results, emitted values and exceptions."""


class SyncConnection:
    """Connections to one server, and the operations that run on them. Safe to share between threads."""

    def __init__(
        self, config: Config, state: ClientState, *, attach: Attach | None = None, pool: SyncPool | None = None
    ) -> None:
        self.config = config
        self.state = state
        self._attach = attach
        self._owns_pool = pool is None
        self._pool = pool or SyncPool(config)
        self._requests = RequestBuilder(config)
        self._http: tuple[SyncOriginTransport, SyncRetryTransport] | None = None
        self._checked_http: tuple[SyncRetryTransport, SyncEndpointClient] | None = None
        # Without a reference to the connection, which background work must not keep alive.
        self._finish_in_thread = partial(finish_in_thread, config, state)

    @property
    def http(self) -> SyncRetryTransport:
        """The transport on this process's connections. Raises ConfigurationError if the pool is closed."""
        transport, current = self._pool.transport(), self._http
        if current is None or current[0] is not transport:
            self._http = current = (transport, self._retrying(transport))
        return current[1]

    @property
    def checked_http(self) -> httpx.Client:
        """An httpx client for generated endpoints, which raises for responses that they cannot read."""
        from .endpoint_clients import SyncEndpointClient

        http, current = self.http, self._checked_http
        if current is None or current[0] is not http or current[1].is_closed:
            self._checked_http = current = (http, SyncEndpointClient(http, self.config))
        return current[1]

    def reconfigured(self, config: Config) -> SyncConnection:
        """Return a connection with other options on the same pool; closing it leaves the pool open."""
        return SyncConnection(config, self.state, attach=self._attach, pool=self._pool)

    def close(self) -> None:
        """End the calls in progress and close the pool, unless another connection owns it."""
        if self._owns_pool:
            self._pool.close()

    def run(self, operation: Operation[T], on_emit: Callable[[Any], object] | None = None) -> T:
        """Carry out an operation and return its result. ``on_emit`` is called with the values that it emits."""
        values = self._emit(operation, CancelToken())
        while True:
            try:
                value = next(values)
            except StopIteration as stop:
                result: T = stop.value
                return result
            try:
                if on_emit is not None:
                    call_callback(on_emit, value)
            except StopIteration as error:
                # A generator would take it for its own end.
                values.throw(RuntimeError("on_event raised StopIteration").with_traceback(error.__traceback__))
            except BaseException as error:
                values.throw(error)

    def run_cleanup(self, operation: Callable[[], Operation[None]]) -> None:
        """Carry out an operation that cleans up; on a connection of its own if this one is closed.

        If Ctrl-C ends it, a thread begins it again: it does what is left to do.
        """
        try:
            with suppress(ConfigurationError):  # closed: raised before the operation starts
                return self.run(operation())
            return self._finish_here(BackgroundWork.spawn(operation()))
        except BaseException:
            self._spawn(operation())
            raise

    def stream(self, operation: Operation[Any]) -> SyncStream:
        """Return the values that an operation emits. The stream ends with the client, or with the process."""
        token = CancelToken()
        stream = SyncStream(self._emit(operation, token), token)
        self._pool.keep(stream)
        return stream

    def keep(self, call: Call) -> None:
        """End a call with the pool, or with the process. Raises ConfigurationError if the pool is closed."""
        self._pool.transport()
        self._pool.keep(call)

    def finish(self, work: BackgroundWork) -> None:
        """Carry out the rest of an operation that has no caller."""
        from .sync_driver import SyncDriver

        SyncDriver(self._http_in_call, CancelToken(), self._spawn).finish(work)

    def _emit(self, operation: Operation[T], token: CancelToken) -> Generator[Any, None, T]:
        self._pool.transport()  # on a closed client the operation does not even start
        driver_type, owned_type = _driver_types()
        driver = driver_type(self._http_in_call, token, self._spawn)
        owned = owned_type(operation, self._finish_here, self._finish_in_thread)
        tokens = self._pool.tokens
        try:
            tokens.add(token)
            return (yield from driver.emit(operation, self._attached, owned.abort, self._on_emit))
        finally:
            tokens.discard(token)

    def _http_in_call(self) -> SyncRetryTransport:
        http: SyncRetryTransport | None
        try:
            http = self.http
        except ConfigurationError:
            http = None
        if http is None:
            raise ClosedError(CLOSED_DURING_CALL)
        return http

    def _retrying(self, transport: SyncOriginTransport) -> SyncRetryTransport:
        from .sync_transport import SyncRetryTransport

        return SyncRetryTransport(self.config, self._requests, transport, self.state, self._pool.tokens)

    def _attached(self, value: T) -> T:
        if self._attach is not None:
            self._attach(value, self)
        return value

    @property
    def _on_emit(self) -> Callable[[Emit], None] | None:
        return None if self.state.hooks is None or self.state.hooks.on_event is None else self._tell

    def _tell(self, emit: Emit) -> None:
        from .._operations.hooks import event_info
        from .hook_calls import tell

        hooks, info = self.state.hooks, event_info(emit)
        if hooks is not None and hooks.on_event is not None and info is not None:
            tell("on_event", hooks.on_event, info)

    def _finish_here(self, work: BackgroundWork) -> None:
        if self._pool.closed:
            _finish(self.config, self.state, work)
        else:
            self.finish(work)

    def _spawn(self, operation: Operation[Any]) -> None:
        self._finish_in_thread(BackgroundWork.spawn(operation))


@cache
def _driver_types() -> tuple[type[SyncDriver], type[OwnedOperation]]:
    """Import them, with httpcore, which a start does without. An import in each call would take a hundredth of it."""
    from .sync_driver import OwnedOperation, SyncDriver

    return SyncDriver, OwnedOperation


def finish_in_thread(
    config: Config, state: ClientState, work: BackgroundWork, on_done: Callable[[], None] | None = None
) -> None:
    """Carry out the rest of an operation in a thread, on a connection of its own, which may outlive its client.

    ``on_done`` is called in that thread. A process that is ending waits for no new thread, and does it all here.
    """

    def run() -> None:
        try:
            _finish(config, state, work)
        finally:
            if on_done is not None:
                on_done()

    if not work.is_left or (threading.main_thread().is_alive() and start_thread(run, BACKGROUND_THREAD)):
        return
    run()


def _finish(config: Config, state: ClientState, work: BackgroundWork) -> None:
    with closing(SyncConnection(config, state)) as connection:
        connection.finish(work)
