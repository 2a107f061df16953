"""TCP proxy on loopback that injects the faults of a test's plan, byte for byte, and counts them.

It works on sockets: it parses requests only to find their end, and does not parse responses.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from support.fault_proxy.connection import Connection
from support.fault_proxy.exchange import Exchange, Plan, no_faults
from support.fault_proxy.faults import Fault

TIMEOUT = 20.0
"""Seconds that tests wait for something before they fail."""
_BACKLOG = 1024


class Port:
    """Port of the proxy, in front of one server."""

    def __init__(self, loop: asyncio.AbstractEventLoop, server: tuple[str, int], plan: Plan) -> None:
        self._loop = loop
        self._server = server
        self.plan = plan
        self.exchanges: list[Exchange] = []
        self.counts: Counter[str] = Counter()
        """Injected faults by name; ``none`` counts exchanges without a fault."""
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
        """Wait until the condition on the exchanges holds; fail after ``seconds``."""
        with self._changed:
            assert self._changed.wait_for(condition, seconds), self.exchanges

    def wait_until_reached(self, fault: type[Fault]) -> None:
        """Wait until a fault of this class has been injected."""
        self.wait_until(lambda: any(isinstance(exchange.fault, fault) and exchange.reached for exchange in self.seen))

    @property
    def seen(self) -> list[Exchange]:
        return list(self.exchanges)

    @property
    def cancels(self) -> int:
        """Number of complete requests to cancel a task."""
        return sum(exchange.is_cancel for exchange in self.seen)

    @property
    def submits(self) -> int:
        """Number of complete requests to create a task."""
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
        """Start the next exchange, with the fault that the plan chooses before anything is read."""
        exchange = Exchange(len(self.exchanges))
        exchange.fault = self.plan(exchange)
        with self._changed:
            self.exchanges.append(exchange)
            self._changed.notify_all()
        return exchange

    def reach(self, exchange: Exchange) -> None:
        """Note that the exchange's fault is injected now."""
        if exchange.reached:
            return
        exchange.reached = True
        self.counts["none" if exchange.fault is None else exchange.fault.name] += 1
        self.changed()

    def refuse(self, seconds: float) -> None:
        """Refuse connections for some seconds."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        # No other program may take the port while it does not listen.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        self._loop.call_later(seconds, self._listen)

    def _listen(self) -> None:
        # Open connections still use the port.
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
                await asyncio.sleep(0.005)  # closed for some seconds by refuse()
                continue
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._spawn(Connection(self._loop, self, client).serve())


def _listener() -> socket.socket:
    # A socket keeps its port while it does not listen only if the port was given explicitly.
    while True:
        with socket.create_server(("127.0.0.1", 0)) as chosen:
            address = chosen.getsockname()
        listener = socket.socket()
        listener.setblocking(False)
        try:
            listener.bind(address)
        except OSError:  # another program took the port
            listener.close()
        else:
            return listener


class FaultProxy:
    """Running proxy, which opens ports."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ports: list[Port] = []

    def open(self, server: tuple[str, int] = ("127.0.0.1", 9), plan: Plan = no_faults) -> Port:
        """Open a port in front of ``server``, which a plan that responds to everything itself does not need."""
        port = Port(self._loop, server, plan)
        self._ports.append(port)
        self._loop.call_soon_threadsafe(port.start)
        return port

    async def aclose(self) -> None:
        for port in self._ports:
            await port.aclose()


@contextmanager
def fault_proxy() -> Iterator[FaultProxy]:
    """Run a proxy in a thread."""
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
