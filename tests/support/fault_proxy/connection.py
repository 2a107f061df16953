"""Connection through the fault proxy."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Literal

from support.fault_proxy.exchange import Exchange
from support.fault_proxy.faults import CutRequest, CutResponse, Drip, Refuse, Response, Stall, StallRequest, StartFault

if TYPE_CHECKING:
    from support.fault_proxy.proxy import Port

_CHUNK = 65536
_DRAIN = 5.0
"""Seconds that a client may take to close its side after a clean close."""
_End = Literal["open", "hold", "fin", "rst"]


class Connection:
    """Connection of a client, with the proxy's own connection to the server."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: Port, client: socket.socket) -> None:
        self._loop = loop
        self._port = port
        self._client = client
        self._server: socket.socket | None = None

    async def serve(self) -> None:
        try:
            data = b""
            while (data := await self._exchange(self._port.begin(), data)) != b"":
                pass
        except OSError:
            pass
        finally:
            self._close(self._client)
            self._close_server()

    async def _exchange(self, exchange: Exchange, data: bytes) -> bytes:
        """Pass one exchange; return the first bytes of the next one, or none at the connection's end."""
        fault = exchange.fault
        limit = fault.at if isinstance(fault, CutRequest | StallRequest) else None
        if isinstance(fault, Refuse):
            self._port.reach(exchange)
            self._port.refuse(fault.seconds)
            return await self._go_on("rst", self._loop.create_future())
        request = await self._request(exchange, data, limit)
        if request is None:
            return b""
        if limit is not None:
            await self._to_server(request[:limit])
            self._port.reach(exchange)
            following = asyncio.ensure_future(self._loop.sock_recv(self._client, _CHUNK))
            return await self._go_on(fault.by if isinstance(fault, CutRequest) else "hold", following)
        exchange.fault = fault or self._port.plan(exchange)
        self._port.changed()
        relay = asyncio.ensure_future(self._respond(exchange, request))
        following = asyncio.ensure_future(self._loop.sock_recv(self._client, _CHUNK))
        try:
            await asyncio.wait({relay, following}, return_when=asyncio.FIRST_COMPLETED)
            return following.result() if following.done() else await self._go_on(relay.result(), following)
        finally:
            if exchange.fault is None:
                self._port.reach(exchange)
            for task in (relay, following):
                task.cancel()
            await asyncio.gather(relay, following, return_exceptions=True)

    async def _go_on(self, how: _End, following: asyncio.Future[bytes]) -> bytes:
        """Keep or end the connection after a response; return the first bytes of the next exchange, if any."""
        if how == "open":
            return await following
        if how == "rst":
            following.cancel()
            for peer in (self._client, self._server):
                if peer is not None:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    self._close(peer)
            return b""
        if how == "fin":
            self._close_server()
            self._client.shutdown(socket.SHUT_WR)
        # Closing a socket with unread data would reset the connection.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN if how == "fin" else None):
                while await following:
                    following = asyncio.ensure_future(self._loop.sock_recv(self._client, _CHUNK))
        return b""

    async def _request(self, exchange: Exchange, data: bytes, limit: int | None) -> bytes | None:
        """Return the whole request, or its first ``limit`` bytes; None if the client closes before."""
        while (limit is None or len(data) < limit) and not _take(exchange, data):
            more = await self._loop.sock_recv(self._client, _CHUNK if limit is None else limit - len(data))
            if not more:
                return None
            data += more
        exchange.request_bytes = len(data)
        return data

    async def _respond(self, exchange: Exchange, request: bytes) -> _End:
        """Send the response; return how the connection continues."""
        fault = exchange.fault
        if isinstance(fault, Response):
            if fault.forward:
                await self._to_server(request)
                await self._from_server()
                self._close_server()
            self._port.reach(exchange)
            await self._loop.sock_sendall(self._client, fault.raw)
            return "fin" if fault.close else "open"
        assert not isinstance(fault, StartFault), "the plan returned this fault too late"
        await self._to_server(request)
        while piece := await self._from_server():
            cut = len(piece) if fault is None else max(0, fault.at - exchange.response_bytes)
            head, tail = piece[:cut], piece[cut:]
            exchange.response_bytes += len(head)
            await self._loop.sock_sendall(self._client, head)
            if fault is None or exchange.response_bytes < fault.at:
                continue
            self._port.reach(exchange)
            match fault:
                case CutResponse():
                    return fault.by
                case Stall(seconds=None):
                    return "hold"
                case Stall(seconds=float(seconds)):
                    await asyncio.sleep(seconds)
                    await self._loop.sock_sendall(self._client, tail)
                    fault = None
                case Drip():
                    for index in range(len(tail)):
                        await self._loop.sock_sendall(self._client, tail[index : index + 1])
                        await asyncio.sleep(fault.interval)
        return "fin"

    async def _to_server(self, data: bytes) -> None:
        if self._server is None:
            self._server = await self._port.connect()
        await self._loop.sock_sendall(self._server, data)

    async def _from_server(self) -> bytes:
        assert self._server is not None
        return await self._loop.sock_recv(self._server, _CHUNK)

    def _close_server(self) -> None:
        if self._server is not None:
            self._close(self._server)
            self._server = None

    def _close(self, peer: socket.socket) -> None:
        if peer.fileno() >= 0:
            # A cancelled read is unregistered a moment later, when another socket may already have this number.
            self._loop.remove_reader(peer)
            self._loop.remove_writer(peer)
            peer.close()


def _take(exchange: Exchange, data: bytes) -> bool:
    """Return True if the data is a whole request; note its head in the exchange."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    line, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    if len(body) < int(headers.get("content-length", 0)):
        return False
    exchange.method, exchange.path, _ = line.split(" ", 2)
    exchange.headers = headers
    return True
