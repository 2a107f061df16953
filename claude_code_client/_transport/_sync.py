"""Synchronous I/O: the transport, and the driver that carries flows out."""

from __future__ import annotations

import inspect
import os
import time
import weakref
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import httpx

from .._config import Config
from .._flow import Abandoned, Command, Do, Emit, Flow, Open, Read, Send, T
from .._quota import RetryQuota
from .._seal import seal
from .._shared import Shared
from ..errors import ClaudeAPIError, ConfigurationError
from ._attempts import Call, CallOptions, cut
from ._connect import CLOSED, check_url, default_headers, inner_arguments
from ._contract import check
from ._network import DeadlineBackend, deadline


class RetryTransport(httpx.BaseTransport):
    """Adds the key, retries, errors and logging to every request, also to those of generated endpoints."""

    def __init__(self, config: Config, inner: httpx.BaseTransport, quota: RetryQuota) -> None:
        self._config = config
        self._inner = inner
        self._quota = quota

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        call = Call(request, self._config, self._quota)
        while True:
            outcome = self._attempt(call)
            # Decided outside of the handler: no exception of ours is to hold httpx's frames.
            if isinstance(outcome, Exception):
                wait = call.after_failure(outcome)
            elif outcome.is_success:
                call.succeeded(outcome)
                return outcome
            else:
                wait = call.after_refusal(outcome)
            time.sleep(wait)

    def _attempt(self, call: Call) -> httpx.Response | httpx.HTTPError | httpx.StreamError:
        try:
            with deadline(call.deadline):
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
        self._finalize()


def _close_own(by_process: dict[int, httpx.BaseTransport]) -> None:
    transport = by_process.pop(os.getpid(), None)
    if transport is not None:
        transport.close()


class SyncConnection:
    """A connection pool to one server, and the driver of flows on it. Safe to share between threads."""

    def __init__(self, config: Config, shared: Shared, pool: _Pool | None = None) -> None:
        self.config = config
        self.shared = shared
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
    def checked_http(self) -> httpx.Client:
        """The same for generated endpoints called directly: answers that they cannot read raise."""
        http = self._on(self._pool.transport())
        http.event_hooks = {"response": [check]}
        return http

    def _on(self, transport: httpx.BaseTransport) -> httpx.Client:
        return httpx.Client(
            base_url=self.config.base_url,
            headers=default_headers(self.config),
            transport=RetryTransport(self.config, transport, self.shared.quota),
            trust_env=False,
        )

    def reconfigured(self, config: Config) -> SyncConnection:
        """The same pool with other options; closing it leaves the pool open."""
        return SyncConnection(config, self.shared, self._pool)

    def close(self) -> None:
        if self._owns_pool:
            self._pool.close()

    def run(self, flow: Flow[T]) -> T:
        """Carry a flow out and give its result; what it emits is not wanted."""
        driver = self.iterate(flow)
        while True:
            try:
                next(driver)
            except StopIteration as stop:
                result: T = stop.value
                return result

    def stream(self, flow: Flow[Any]) -> Generator[Any, None, None]:
        """What a flow emits, for a user to hold: one that is held to the end of the process is abandoned there."""
        stream = seal(self.iterate(flow))
        weakref.finalize(stream, self._abandon_in, os.getpid(), flow, None)
        return stream

    def iterate(self, flow: Flow[T]) -> Generator[Any, None, T]:
        """Carry a flow out and give what it emits. Leaving early lets the flow tidy up, and closes its connection."""
        stream, process = _Stream(self.http), os.getpid()
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
                    outcome = self._perform(command, stream)
                except ClaudeAPIError as error:
                    failure = error
                command = flow.throw(failure) if failure is not None else flow.send(outcome)
        except StopIteration as stop:
            result: T = stop.value
            return result
        except BaseException as cause:
            stream.close()
            self._abandon_in(process, flow, cause)
            raise
        finally:
            flow.close()
            stream.close()

    def _abandon_in(self, process: int, flow: Flow[Any], cause: BaseException | None) -> None:
        # A fork has a copy of the stream, and drops it; the task is its parent's.
        if process == os.getpid():
            self.abandon(flow, cause)

    def abandon(self, flow: Flow[Any], cause: BaseException | None) -> None:
        """Let a flow that waits for an outcome, or for its caller, do what there is to do when nobody will come."""
        if inspect.getgeneratorstate(flow) != inspect.GEN_SUSPENDED:
            return
        if self._pool.closed:
            with closing(SyncConnection(self.config, self.shared)) as other:
                other.abandon(flow, cause)
            return
        stream = _Stream(self.http)
        try:
            command = flow.throw(Abandoned(cause))
            while True:
                command = flow.send(None if isinstance(command, Emit) else self._perform(command, stream))
        except (StopIteration, Abandoned, ClaudeAPIError):
            return
        finally:
            stream.close()

    def _perform(self, command: Command, stream: _Stream) -> Any:
        match command:
            case Send():
                options = CallOptions(deadline=command.deadline, repeatable=command.repeatable)
                return self.http.request(**command.request, extensions=options.as_extensions())
            case Open():
                return stream.open(command)
            case Read():
                return stream.read()
            case Do():
                return command.work()
            case _:
                raise TypeError(command)


class _Stream:
    """What a flow has open: at most one response."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())
        self._deadline = 0.0

    def open(self, command: Open) -> None:
        self.close()
        self._deadline = command.deadline
        options = CallOptions(deadline=command.deadline, stream=True, read_timeout=command.read_timeout)
        request = self._http.build_request(**command.request, extensions=options.as_extensions())
        request.headers["Accept"] = "text/event-stream"
        self._response = self._http.send(request, stream=True)
        self._chunks = self._response.iter_bytes()

    def read(self) -> bytes | None:
        if self._response is None:
            return None
        try:
            with deadline(self._deadline):
                return next(self._chunks, None)
        except (httpx.HTTPError, httpx.StreamError) as error:
            problem = error
        raise cut(problem, self._response, overdue=time.monotonic() >= self._deadline)

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
