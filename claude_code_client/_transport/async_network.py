"""Streams on asyncio's transports; also a network backend for httpcore.

That of httpcore supports several frameworks, for which it goes through another library with each read and write.
"""

from __future__ import annotations

import asyncio
import ipaddress
import select
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Any, Final, cast

import httpcore

from .network_events import NetworkEvents
from .unsent_bytes import PROXY_REQUEST, UnsentBytes

_HEAD_START: Final = 0.25
"""Seconds that an address has before the next one is tried too (RFC 8305, section 5)."""
_ENOUGH: Final = 1 << 18
"""Bytes in the buffer from which on no more are read from the network."""

_events: ContextVar[NetworkEvents | None] = ContextVar("claude_code_client_events", default=None)


class Observed:
    """Passes what happens on the network, in a ``with`` block, to a receiver."""

    def __init__(self, events: NetworkEvents) -> None:
        self._events = events
        self._outer: Token[NetworkEvents | None] | None = None

    def __enter__(self) -> None:
        self._outer = _events.set(self._events)

    def __exit__(self, *_: object) -> None:
        with suppress(ValueError):  # the coroutine is being closed in another context
            if self._outer is not None:
                _events.reset(self._outer)


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """Connections of the running event loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncioStream:
        loop, events = asyncio.get_running_loop(), _events.get()
        if events is not None:
            events.connecting()
        try:
            async with asyncio.timeout(timeout):
                _, protocol = await loop.create_connection(
                    _Protocol,
                    host,
                    port,
                    local_addr=None if local_address is None else (local_address, 0),
                    happy_eyeballs_delay=None if _is_address(host) else _HEAD_START,
                )
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(str(error)) from error
        stream = AsyncioStream(protocol)
        for option in socket_options or ():
            stream.get_extra_info("socket").setsockopt(*option)
        return stream


class _Protocol(asyncio.Protocol):
    """Receives into a buffer, as far as there is room."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._ended = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._writing_paused = False
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > _ENOUGH and not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()
        _wake(self._reader)

    def eof_received(self) -> None:
        self._ended = True
        _wake(self._reader)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._error = exc
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        _wake(self._writer)

    async def read(self, max_bytes: int) -> bytes:
        """Return what has arrived as soon as there is anything; b"" at the end. Raises OSError."""
        while not self._received:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        data = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        if self._reading_paused and len(self._received) <= _ENOUGH:
            self._reading_paused = False
            self.transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """Send bytes, and wait until there is room for more. Raises OSError."""
        if self._ended and self.transport.is_closing():
            raise self._error or ConnectionResetError("the connection is closed")
        self.transport.write(data)
        while self._writing_paused and not self.transport.is_closing():
            self._writer = asyncio.get_running_loop().create_future()
            try:
                await self._writer
            finally:
                self._writer = None

    @property
    def has_input(self) -> bool:
        """True if there is anything to read, such as the end."""
        return bool(self._received) or self._ended


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        with suppress(asyncio.InvalidStateError):  # Ctrl-C cancels it in a signal handler
            waiter.set_result(None)


class AsyncioStream(httpcore.AsyncNetworkStream):
    """Stream of a connection of the event loop."""

    def __init__(self, protocol: _Protocol) -> None:
        self._protocol = protocol
        self._unsent = UnsentBytes()
        self._is_sending = False
        """True from the start of a request until its response is read."""
        self._closed = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._unsent:
            with suppress(httpcore.WriteError):  # as httpcore has it: the server may have responded before
                await self.send(self._unsent.take(), timeout)
        self._is_sending = False
        if self._closed:
            raise httpcore.ReadError("closed")
        try:
            if timeout is None:
                data = await self._protocol.read(max_bytes)
            else:
                async with asyncio.timeout(timeout):
                    data = await self._protocol.read(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except (OSError, ssl.SSLError) as error:
            raise httpcore.ReadError(str(error)) from error
        if not data and self._closed:
            raise httpcore.ReadError("closed")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if data := self._unsent.put(buffer):
            await self.send(data, timeout)

    async def send(self, data: bytes, timeout: float | None = None) -> None:
        """Write bytes at once, without waiting for the rest of a request."""
        if self._closed:
            raise httpcore.WriteError("closed")
        events, is_start = None if data.startswith(PROXY_REQUEST) else _events.get(), not self._is_sending
        self._is_sending = True
        if events is not None:
            events.sending()
        try:
            if timeout is None:
                await self._protocol.write(data)
            else:
                async with asyncio.timeout(timeout):
                    await self._protocol.write(data)
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except (OSError, ssl.SSLError) as error:
            if events is not None and is_start:
                events.not_sent()
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        self._closed = True
        with suppress(RuntimeError):  # the loop is closed
            # close() would wait for the peer where there is TLS.
            self._protocol.transport.abort()
        # The loop closes the socket in its next round, which may be its last one.
        await asyncio.sleep(0)

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> AsyncioStream:
        protocol = self._protocol
        try:
            async with asyncio.timeout(timeout):
                transport = await asyncio.get_running_loop().start_tls(
                    protocol.transport, protocol, ssl_context, server_hostname=server_hostname
                )
        except TimeoutError as error:
            protocol.transport.abort()
            raise httpcore.ConnectTimeout(str(error)) from error
        except (OSError, ssl.SSLError) as error:
            protocol.transport.abort()
            raise httpcore.ConnectError(str(error)) from error
        except BaseException:
            protocol.transport.abort()
            raise
        protocol.connection_made(cast("asyncio.Transport", transport))
        return AsyncioStream(protocol)

    @property
    def has_input(self) -> bool:
        """True if there is anything to read, such as the end, or if the stream is closed."""
        return self._protocol.has_input or _is_readable(self._protocol.transport.get_extra_info("socket"))

    def get_extra_info(self, info: str) -> Any:
        transport = self._protocol.transport
        match info:
            case "socket" | "sslcontext":
                return transport.get_extra_info(info)
            case "ssl_object":
                return transport.get_extra_info("ssl_object")
            case "client_addr":
                return transport.get_extra_info("sockname")
            case "server_addr":
                return transport.get_extra_info("peername")
            case "is_readable":
                return self.has_input
        return None


def _is_address(host: str) -> bool:
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return True
    return False


def _is_readable(sock: socket.socket | None) -> bool:
    """Return whether a read would return at once, since the loop may not have seen yet what has arrived."""
    if sock is None or (descriptor := sock.fileno()) < 0:
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
