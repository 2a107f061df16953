"""Synchronous I/O: the transport, and the driver that carries operations out."""

from __future__ import annotations

import inspect
import os
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from typing import Any

import httpx

from .._config import Config
from .._operations.client_state import ClientState
from .._operations.effects import Aborted, Effect, Emit, Head, Open, Operation, Read, RunBlocking, Send, Sleep, Spawn, T
from .._policy.retry_quota import RetryQuota
from ..errors import ClaudeAPIError, ClosedError, ConfigurationError
from .attempts import Call, RequestContext, cut, head, opening
from .cancellation import CLOSED_MEANWHILE, CancelRegistry, CancelToken
from .http_options import CLOSED, check_url, default_headers, inner_arguments
from .network import DeadlineBackend, deadline_scope
from .response_check import check

Attach = Callable[[Any, "SyncConnection"], object]
"""Called with every value that leaves the driver: results, emitted values and exceptions."""


class RetryTransport(httpx.BaseTransport):
    """Adds the key, retries, errors and logging to every request, also to those of generated endpoints."""

    def __init__(self, config: Config, inner: httpx.BaseTransport, quota: RetryQuota, tokens: CancelRegistry) -> None:
        self._config = config
        self._inner = inner
        self._quota = quota
        self._tokens = tokens

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        call = Call(request, self._config, self._quota)
        if call.token is not None:
            return self._handle(call, call.token)
        token = CancelToken()
        with self._tokens.registered(token):
            return self._handle(call, token)

    def _handle(self, call: Call, token: CancelToken) -> httpx.Response:
        while True:
            outcome = self._attempt(call, token)
            # Decided outside of the handler: no exception of ours is to hold httpx's frames.
            if token.is_cancelled:
                if isinstance(outcome, httpx.Response):
                    outcome.close()
                raise call.closed()
            if isinstance(outcome, Exception):
                wait = call.after_failure(outcome)
            elif outcome.is_success:
                call.succeeded(outcome)
                return outcome
            else:
                wait = call.after_refusal(outcome)
            if token.wait(wait):
                raise call.closed()

    def _attempt(self, call: Call, token: CancelToken) -> httpx.Response | httpx.HTTPError | httpx.StreamError:
        try:
            with deadline_scope(call.deadline, token):
                response = self._inner.handle_request(call.next_request(call.trace))
                if call.wants_body(response):
                    try:
                        response.read()
                    finally:
                        response.close()
        except (httpx.HTTPError, httpx.StreamError) as error:
            return error
        return response


class _Pool:
    """The connections of one client and of those made from it by ``with_options``."""

    def __init__(self, config: Config) -> None:
        check_url(config)
        self._config = config
        # A forked process must not talk on its parent's sockets; it gets its own, and leaves theirs open.
        self._by_process: dict[int, httpx.BaseTransport] = {}
        self.tokens = CancelRegistry()
        self.closed = False
        # A client that nobody closes is closed when it is collected, or when the process ends.
        self._finalize = weakref.finalize(self, _close_own, self._by_process)

    def transport(self) -> httpx.BaseTransport:
        if self.closed:
            raise ConfigurationError(CLOSED)
        process = os.getpid()
        transport = self._by_process.get(process)
        if transport is None:
            fresh = httpx.HTTPTransport(**inner_arguments(self._config))
            # httpx has no argument for it; httpcore, whose pool this is, has.
            fresh._pool._network_backend = DeadlineBackend()
            transport = self._by_process.setdefault(process, fresh)
        return transport

    def close(self) -> None:
        self.closed = True
        self.tokens.cancel_all()
        self._finalize()


def _close_own(by_process: dict[int, httpx.BaseTransport]) -> None:
    transport = by_process.pop(os.getpid(), None)
    if transport is not None:
        transport.close()


class SyncConnection:
    """A connection pool to one server, and the driver of operations on it. Safe to share between threads."""

    def __init__(
        self, config: Config, state: ClientState, *, attach: Attach | None = None, pool: _Pool | None = None
    ) -> None:
        self.config = config
        self.state = state
        self._attach = attach
        self._owns_pool = pool is None
        self._pool = pool or _Pool(config)
        self._http: tuple[httpx.BaseTransport, httpx.Client] | None = None

    @property
    def http(self) -> httpx.Client:
        """An httpx client on this process's connections. Raises ConfigurationError once the pool is closed."""
        transport, current = self._pool.transport(), self._http
        if current is None or current[0] is not transport:
            self._http = current = (transport, self._on(transport))
        return current[1]

    @property
    def _http_under_way(self) -> httpx.Client:
        """The same for a call that has begun: it is closed meanwhile, not used too late."""
        with suppress(ConfigurationError):
            return self.http
        raise ClosedError(CLOSED_MEANWHILE)

    @property
    def checked_http(self) -> httpx.Client:
        """The same for generated endpoints called directly: answers that they cannot read raise."""
        http = self._on(self._pool.transport())
        http.event_hooks = {"response": [check]}
        return http

    def _on(self, transport: httpx.BaseTransport) -> httpx.Client:
        return httpx.Client(
            base_url=self.config.base_url,
            headers=default_headers(self.config),
            transport=RetryTransport(self.config, transport, self.state.quota, self._pool.tokens),
            trust_env=False,
        )

    def reconfigured(self, config: Config) -> SyncConnection:
        """The same pool with other options; closing it leaves the pool open."""
        return SyncConnection(config, self.state, attach=self._attach, pool=self._pool)

    def close(self) -> None:
        if self._owns_pool:
            self._pool.close()

    def run(self, operation: Operation[T], on_emit: Callable[[Any], object] | None = None) -> T:
        """Carry a operation out and give its result; what it emits goes to ``on_emit``."""
        driver = self._carry_out(operation, CancelToken())
        while True:
            try:
                value = next(driver)
            except StopIteration as stop:
                result: T = stop.value
                return result
            try:
                if on_emit is not None:
                    on_emit(value)
            except StopIteration as error:
                # To a generator it would look like its own end.
                driver.throw(RuntimeError("on_event raised StopIteration").with_traceback(error.__traceback__))
            except BaseException as error:
                driver.throw(error)

    def stream(self, operation: Operation[Any]) -> tuple[Generator[Any, None, None], Callable[[], None]]:
        """Return a generator of what the operation emits, and a callable that ends the generator from any thread.

        A generator that is still suspended when the process ends is aborted then.
        """
        token = CancelToken()
        generator = self._carry_out(operation, token)
        weakref.finalize(generator, self._abandon_in, os.getpid(), operation, None)
        return generator, token.cancel

    def _attached(self, value: T) -> T:
        if self._attach is not None:
            self._attach(value, self)
        return value

    def _carry_out(self, operation: Operation[T], token: CancelToken) -> Generator[Any, None, T]:
        """Run an operation and yield what it emits."""
        stream, process = _Stream(self.http, token), os.getpid()
        with self._pool.tokens.registered(token):
            try:
                command = next(operation)
                while True:
                    if isinstance(command, Emit):
                        yield self._attached(command.value)
                        command = operation.send(None)
                        continue
                    failure = None
                    outcome: Any = None
                    try:
                        outcome = self._perform(command, stream, token)
                    except ClaudeAPIError as error:
                        failure = error
                    command = operation.throw(failure) if failure is not None else operation.send(outcome)
            except StopIteration as stop:
                result: T = self._attached(stop.value)
                return result
            except BaseException as cause:
                self._attached(cause)
                stream.close()
                self._abandon_in(process, operation, cause)
                raise
            finally:
                operation.close()
                stream.close()

    def _abandon_in(self, process: int, operation: Operation[Any], cause: BaseException | None) -> None:
        # A fork has a copy of the stream, and drops it; the task is its parent's.
        if process == os.getpid():
            self.abandon(operation, cause)

    def abandon(self, operation: Operation[Any], cause: BaseException | None) -> None:
        """Abort a suspended operation and run its cleanup."""
        if inspect.getgeneratorstate(operation) != inspect.GEN_SUSPENDED:
            return
        if self._pool.closed:
            with closing(SyncConnection(self.config, self.state)) as other:
                other.abandon(operation, cause)
            return
        token = CancelToken()
        stream = _Stream(self.http, token)
        try:
            command = operation.throw(Aborted(cause))
            while True:
                command = operation.send(None if isinstance(command, Emit) else self._perform(command, stream, token))
        except (StopIteration, Aborted, ClaudeAPIError):
            return
        finally:
            stream.close()

    def _perform(self, command: Effect, stream: _Stream, token: CancelToken) -> Any:
        if isinstance(command, Spawn):
            return elsewhere(self.config, self.state, command.operation)
        if isinstance(command, RunBlocking):
            return command.work()
        token.check()
        match command:
            case Send():
                options = RequestContext(deadline=command.deadline, repeatable=command.repeatable, token=token)
                return self._http_under_way.request(**command.request, extensions=options.as_extensions())
            case Open():
                return stream.open(command)
            case Read():
                return stream.read(command)
            case Sleep():
                token.wait(command.seconds)
                return token.check()
            case _:
                raise TypeError(command)


def elsewhere(config: Config, state: ClientState, operation: Operation[Any]) -> None:
    """Carry a operation out in a thread, on a connection of its own, which may outlive its client."""

    def work() -> None:
        with suppress(ClaudeAPIError), closing(SyncConnection(config, state)) as connection:
            connection.run(operation)

    with suppress(RuntimeError):  # the process is ending
        threading.Thread(target=work, name="claude-code-client: tidy up").start()


class _Stream:
    """What a operation has open: at most one response."""

    def __init__(self, http: httpx.Client, token: CancelToken) -> None:
        self._http = http
        self._token = token
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())
        self._deadline = 0.0

    def open(self, command: Open) -> Head:
        self.close()
        self._deadline = command.deadline
        request = opening(self._http.build_request, command, self._token)
        self._response = self._http.send(request, stream=True)
        self._chunks = self._response.iter_bytes()
        return head(self._response)

    def read(self, command: Read) -> bytes | None:
        if self._response is None:
            return None
        until = min(command.until, self._deadline)
        problem: httpx.HTTPError | httpx.StreamError
        try:
            with deadline_scope(until, self._token):
                chunk = next(self._chunks, None)
        except (httpx.HTTPError, httpx.StreamError) as error:
            problem = error
        else:
            self._token.check()
            return chunk
        self._token.check()
        raise cut(problem, self._response, overdue=time.monotonic() >= until)

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
