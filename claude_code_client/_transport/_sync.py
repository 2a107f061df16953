"""Synchronous I/O: the transport, and the driver that carries flows out."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import httpx

from .._config import Config
from .._flow import Command, Emit, Flow, Open, Read, Send, T
from ..errors import ClaudeAPIError
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

    def close(self) -> None:
        self._inner.close()


class SyncConnection:
    """A connection pool to one server, and the driver of flows on it. Safe to share between threads."""

    def __init__(self, config: Config, inner: httpx.BaseTransport | None = None) -> None:
        self.config = config
        self._owns_inner = inner is None
        self._inner = inner or httpx.HTTPTransport(**inner_arguments(config))
        self.http = httpx.Client(
            base_url=config.base_url,
            headers=default_headers(config),
            transport=RetryTransport(config, self._inner),
            trust_env=False,
        )

    def reconfigured(self, config: Config) -> SyncConnection:
        """The same pool with other options; closing it leaves the pool open."""
        return SyncConnection(config, self._inner)

    def close(self) -> None:
        if self._owns_inner:
            self.http.close()

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
