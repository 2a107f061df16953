"""A TCP proxy on loopback that does to each exchange what a test's plan says, byte for byte, and counts it.

It works on sockets, not on HTTP: of a response it knows its bytes only, of a request where it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from .faults import Answer, CutRequest, CutResponse, Drip, Fault, Refuse, Stall, StallRequest, StartFault

TIMEOUT = 20.0
"""Seconds until something that a test waits for counts as never."""
_CHUNK = 65536
_DRAIN = 5.0
_BACKLOG = 1024
_End = Literal["open", "hold", "fin", "rst"]


@dataclass
class Exchange:
    """One request and its response, as far as they came."""

    number: int
    """On its port, from 0."""
    fault: Fault | None = None
    method: str = ""
    path: str = ""
    """Empty where the request did not come whole."""
    headers: dict[str, str] = field(default_factory=dict)
    """Names in lower case."""
    request_bytes: int = 0
    response_bytes: int = 0
    reached: bool = False
    """Whether its fault has taken place, or has begun to."""

    @property
    def is_submit(self) -> bool:
        return self.method == "POST" and self.path.endswith("/task")

    @property
    def is_cancel(self) -> bool:
        return self.method == "POST" and self.path.endswith("/cancel")


Plan = Callable[[Exchange], Fault | None]
"""Asked twice for an exchange: before a byte of it is read, and, unless that gave a fault, with its whole request."""


def no_faults(_: Exchange) -> None:
    """A plan."""


class Once:
    """A plan: one fault, for the first exchange that ``when`` is so of."""

    def __init__(self, fault: Fault, when: Callable[[Exchange], bool] | None = None) -> None:
        self._fault: Fault | None = fault
        self._early = isinstance(fault, StartFault) and when is None
        self._when = when or (lambda _: True)

    def __call__(self, exchange: Exchange) -> Fault | None:
        if self._fault is None or (not self._early and not exchange.path) or not self._when(exchange):
            return None
        fault, self._fault = self._fault, None
        return fault


class Port:
    """A port of the proxy, in front of one server."""

    def __init__(self, loop: asyncio.AbstractEventLoop, server: tuple[str, int], plan: Plan) -> None:
        self._loop = loop
        self._server = server
        self.plan = plan
        self.exchanges: list[Exchange] = []
        self.counts: Counter[str] = Counter()
        """Faults that took place, by name; ``none`` for exchanges without."""
        self.connections = 0
        self._changed = threading.Condition()
        self._listener = _listener()
        self.address: tuple[str, int] = self._listener.getsockname()
        self._listen()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.address[1]}/v1"

    def wait_until(self, condition: Callable[[], bool], seconds: float = TIMEOUT) -> None:
        """Wait until something is so of the exchanges; fails if it never is."""
        with self._changed:
            assert self._changed.wait_for(condition, seconds), self.exchanges

    def wait_until_reached(self, fault: type[Fault]) -> None:
        """Wait until a fault of this kind has taken place."""
        self.wait_until(lambda: any(isinstance(exchange.fault, fault) and exchange.reached for exchange in self.seen))

    @property
    def seen(self) -> list[Exchange]:
        return list(self.exchanges)

    @property
    def cancels(self) -> int:
        """Requests to cancel a task that came whole."""
        return sum(exchange.is_cancel for exchange in self.seen)

    @property
    def submits(self) -> int:
        """Requests to create a task that came whole."""
        return sum(exchange.is_submit for exchange in self.seen)

    # ---- in the proxy's thread

    def start(self) -> None:
        self._spawn(self._accept())

    async def aclose(self) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def changed(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def begin(self) -> Exchange:
        """The next exchange, with what the plan says before any of it is read."""
        exchange = Exchange(len(self.exchanges))
        exchange.fault = self.plan(exchange)
        with self._changed:
            self.exchanges.append(exchange)
            self._changed.notify_all()
        return exchange

    def reach(self, exchange: Exchange) -> None:
        """The exchange's fault takes place."""
        if exchange.reached:
            return
        exchange.reached = True
        self.counts["none" if exchange.fault is None else exchange.fault.name] += 1
        self.changed()

    def refuse(self, seconds: float) -> None:
        """Refuse connections for a while."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        # While it does not listen, nobody else is to get the port.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        self._loop.call_later(seconds, self._listen)

    def _listen(self) -> None:
        # Its connections have the same port.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.listen(_BACKLOG)

    async def connect(self) -> socket.socket:
        upstream = socket.socket()
        upstream.setblocking(False)
        try:
            await self._loop.sock_connect(upstream, self._server)
        except BaseException:
            self._loop.remove_writer(upstream)
            upstream.close()
            raise
        upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return upstream

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        while True:
            try:
                client, _ = await self._loop.sock_accept(self._listener)
            except OSError:
                await asyncio.sleep(0.005)  # shut for a while: see refuse()
                continue
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._spawn(_Connection(self._loop, self, client).serve())


class _Connection:
    """A client's connection, and the one to the server that goes with it."""

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
        """The first bytes of the next exchange; none at the connection's end."""
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
        """What becomes of the connection after a response: the first bytes of the next exchange, if any."""
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
        # What stays unread when a socket is closed makes it a reset.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN if how == "fin" else None):
                while await following:
                    following = asyncio.ensure_future(self._loop.sock_recv(self._client, _CHUNK))
        return b""

    async def _request(self, exchange: Exchange, data: bytes, limit: int | None) -> bytes | None:
        """The whole request, or its first ``limit`` bytes; None where the client goes away before."""
        while (limit is None or len(data) < limit) and not _take(exchange, data):
            more = await self._loop.sock_recv(self._client, _CHUNK if limit is None else limit - len(data))
            if not more:
                return None
            data += more
        exchange.request_bytes = len(data)
        return data

    async def _respond(self, exchange: Exchange, request: bytes) -> _End:
        """Send what is to be sent, and tell what becomes of the connection then."""
        fault = exchange.fault
        if isinstance(fault, Answer):
            if fault.forward:
                await self._to_server(request)
                await self._from_server()
                self._close_server()
            self._port.reach(exchange)
            await self._loop.sock_sendall(self._client, fault.raw)
            return "fin" if fault.close else "open"
        assert not isinstance(fault, StartFault), "the plan gave it too late"
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
            # A cancelled read lets go of its socket a moment later only, when the number may be another one's.
            self._loop.remove_reader(peer)
            self._loop.remove_writer(peer)
            peer.close()


def _listener() -> socket.socket:
    # Only a port that was named stays a socket's own while it does not listen.
    while True:
        with socket.create_server(("127.0.0.1", 0)) as chosen:
            address = chosen.getsockname()
        listener = socket.socket()
        listener.setblocking(False)
        try:
            listener.bind(address)
        except OSError:  # somebody else was faster
            listener.close()
        else:
            return listener


def _take(exchange: Exchange, data: bytes) -> bool:
    """Whether this is the whole request; its head is noted."""
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


class FaultProxy:
    """Opens ports while it runs."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ports: list[Port] = []

    def open(self, server: tuple[str, int] = ("127.0.0.1", 9), plan: Plan = no_faults) -> Port:
        """A new port in front of ``server``; a plan that answers everything itself needs none."""
        port = Port(self._loop, server, plan)
        self._ports.append(port)
        self._loop.call_soon_threadsafe(port.start)
        return port

    async def aclose(self) -> None:
        for port in self._ports:
            await port.aclose()


@contextmanager
def proxying() -> Iterator[FaultProxy]:
    """A proxy in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fault proxy")
    thread.start()
    proxy = FaultProxy(loop)
    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(proxy.aclose(), loop).result(TIMEOUT)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(TIMEOUT)
        loop.close()
