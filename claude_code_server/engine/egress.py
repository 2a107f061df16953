"""Proxy to allowed hosts: the way of sandboxed processes to the network, for HTTP and, through CONNECT, for TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from ..domain.host_pattern import HostPattern

_log = logging.getLogger(__name__)
_MAX_CONNECTIONS: Final = 128
_HEAD_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 15.0
_MAX_HEAD: Final = 32_768
_CHUNK: Final = 65_536
_MAX_SHOWN: Final = 100


class RefusedError(Exception):
    """A request that is not passed on. The message says why."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class EgressProxy:
    """Proxy of one run, between ``start`` and ``aclose``."""

    def __init__(self, allowed: Sequence[str], label: str) -> None:
        """Create a proxy; ``label`` names the run in the log."""
        self._allowed = [HostPattern.parse(text) for text in allowed]
        self._label = label
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, sock: socket.socket) -> None:
        """Accept connections on ``sock``, which the proxy closes."""
        self._server = await asyncio.start_server(self._accept, sock=sock, limit=_MAX_HEAD)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._open.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            pass
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        try:
            host, port, first = _parse_head(head)
            self._check(host, port)
            upstream_reader, upstream_writer = await self._connect(host, port)
        except RefusedError as error:
            await _refuse(error, reader, writer)
            return
        try:
            if first is None:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                upstream_writer.write(first)
            await asyncio.gather(_pipe(reader, upstream_writer), _pipe(upstream_reader, writer))
        finally:
            upstream_writer.transport.abort()

    def _check(self, host: str, port: int) -> None:
        if len(self._open) > _MAX_CONNECTIONS:
            raise RefusedError("503 Service Unavailable", "there are too many connections")
        if not any(pattern.matches(host, port) for pattern in self._allowed):
            _log.warning("%s: refused a connection to %r, port %d", self._label, host[:_MAX_SHOWN], port)
            raise RefusedError("403 Forbidden", f"the sandbox does not allow connections to {host}, port {port}")

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to an allowed host. A name does not lead to this machine, unless it is a name of it."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                for *_, address in found:
                    if not (_is_local(str(address[0])) and not _names_this_machine(host)):
                        with contextlib.suppress(OSError):
                            return await asyncio.open_connection(str(address[0]), port)
        except (OSError, UnicodeError):
            pass
        raise RefusedError("502 Bad Gateway", f"cannot connect to {host}")


async def _refuse(error: RefusedError, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = f"{error}\n".encode()
    head = f"HTTP/1.1 {error.status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close"
    writer.write(head.encode() + b"\r\n\r\n" + body)
    writer.write_eof()
    # Until the client has read it: what it has sent meanwhile would reset the connection.
    async with asyncio.timeout(1):
        while await reader.read(_CHUNK):
            pass


def _parse_head(head: bytes) -> tuple[str, int, bytes | None]:
    """Return host and port of a request, and what to send there first; None for CONNECT. Raise RefusedError."""
    line, _, rest = head.decode("latin-1").partition("\r\n")
    try:
        method, target, version = line.split(" ")
        url = urlsplit(f"//{target}" if method == "CONNECT" else target)
        host = (url.hostname or "").lower().rstrip(".")
        port = url.port or 80
        if not host or (method == "CONNECT") != (not url.scheme) or url.scheme not in ("", "http"):
            raise ValueError(target)  # noqa: TRY301
    except ValueError:
        raise RefusedError("400 Bad Request", "this is a proxy for HTTP and CONNECT") from None
    if method == "CONNECT":
        return host, port, None
    path = f"{url.path or '/'}{'?' if url.query else ''}{url.query}"
    kept = [
        name
        for name in rest.split("\r\n")
        if name and not name.lower().startswith(("proxy-", "connection:", "keep-alive:"))
    ]
    lines = [f"{method} {path} {version}", *kept, "Connection: close", "", ""]
    return host, port, "\r\n".join(lines).encode("latin-1")


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def _is_local(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    return mapped.is_loopback or mapped.is_link_local or mapped.is_unspecified or mapped.is_multicast


def _names_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
