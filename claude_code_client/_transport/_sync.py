"""Synchronous I/O: the transport, and the driver that carries flows out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import httpx

from .._config import Config
from .._flow import Command, Emit, Flow, Open, Read, Send, T
from ..errors import ClaudeAPIError, ConfigurationError
from ._attempts import Call, CallOptions, translate
from ._connect import default_headers, inner_arguments


class RetryTransport(httpx.BaseTransport):
    """Adds the key, retries, errors and logging to every request, also to those of generated endpoints."""

    def __init__(self, config: Config, inner: httpx.BaseTransport) -> None:
        self._config = config
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        call = Call(request, self._config)
        while True:
            problem: httpx.HTTPError | httpx.StreamError | None = None
            try:
                response = self._inner.handle_request(call.next_request())
                if call.wants_body(response):
                    try:
                        response.read()
                    finally:
                        response.close()
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
            time.sleep(wait)


class _Pool:
    """The connections of one client and of those made from it by ``with_options``."""

    def __init__(self, config: Config) -> None:
        self._config = config
        # A forked process must not talk on its parent's sockets; it gets its own, and leaves theirs open.
        self._by_process: dict[int, httpx.BaseTransport] = {}
        self.closed = False

    def transport(self) -> httpx.BaseTransport:
        process = os.getpid()
        transport = self._by_process.get(process)
        if transport is None:
            fresh = httpx.HTTPTransport(**inner_arguments(self._config))
            transport = self._by_process.setdefault(process, fresh)
        return transport

    def close(self) -> None:
        self.closed = True
        transport = self._by_process.pop(os.getpid(), None)
        if transport is not None:
            transport.close()


class SyncConnection:
    """A connection pool to one server, and the driver of flows on it. Safe to share between threads."""

    def __init__(self, config: Config, pool: _Pool | None = None) -> None:
        self.config = config
        self._owns_pool = pool is None
        self._pool = pool or _Pool(config)
        self._http: tuple[int, httpx.Client] | None = None

    @property
    def http(self) -> httpx.Client:
        """An httpx client on this process's connections. Raises ConfigurationError once the pool is closed."""
        if self._pool.closed:
            raise ConfigurationError("This client is closed: make a new one.")
        current = self._http
        if current is None or current[0] != os.getpid():
            http = httpx.Client(
                base_url=self.config.base_url,
                headers=default_headers(self.config),
                transport=RetryTransport(self.config, self._pool.transport()),
                trust_env=False,
            )
            self._http = current = (os.getpid(), http)
        return current[1]

    def reconfigured(self, config: Config) -> SyncConnection:
        """The same pool with other options; closing it leaves the pool open."""
        return SyncConnection(config, self._pool)

    def close(self) -> None:
        if self._owns_pool:
            self._pool.close()

    def run(self, flow: Flow[T], on_emit: Callable[[Any], None] | None = None) -> T:
        """Carry a flow out and give its result."""
        driver = self.iterate(flow)
        while True:
            try:
                value = next(driver)
            except StopIteration as stop:
                result: T = stop.value
                return result
            if on_emit is not None:
                on_emit(value)

    def iterate(self, flow: Flow[T]) -> Generator[Any, None, T]:
        """Carry a flow out and give what it emits. Leaving early closes the flow and its connection."""
        stream = _Stream(self.http)
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
        finally:
            flow.close()
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
            case _:
                raise TypeError(command)


class _Stream:
    """What a flow has open: at most one response."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())

    def open(self, command: Open) -> None:
        self.close()
        options = CallOptions(deadline=command.deadline, stream=True, read_timeout=command.read_timeout)
        request = self._http.build_request(**command.request, extensions=options.as_extensions())
        request.headers["Accept"] = "text/event-stream"
        self._response = self._http.send(request, stream=True)
        self._chunks = self._response.iter_bytes()

    def read(self) -> bytes | None:
        if self._response is None:
            return None
        try:
            return next(self._chunks, None)
        except (httpx.HTTPError, httpx.StreamError) as error:
            problem = error
        raise translate(problem, self._response.url)

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
