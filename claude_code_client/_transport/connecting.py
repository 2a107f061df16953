"""TCP connections with one deadline for all of it: the lookup of the name, and every address of the host.

The addresses race (RFC 8305): one that does not answer costs a quarter of a second, not the whole time.
"""

from __future__ import annotations

import _thread
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import zip_longest
from queue import Empty, SimpleQueue
from typing import Any, Final

Address = tuple[int, int, int, Any]
"""Family, type, protocol and socket address."""

_HEAD_START: Final = 0.25
"""Seconds that an address has before the next one is tried too (RFC 8305, section 5)."""
_CHECK_INTERVAL: Final = 0.1
"""Seconds after which it is asked again whether the call has been cancelled."""


class Cancelled(Exception):  # noqa: N818 (says what happened)
    """Raised by ``is_cancelled`` being true."""


class _Socket(socket.socket):
    """A socket that may be dropped: Ctrl-C between any two lines leaves it to nobody."""

    def __del__(self) -> None:
        # Not the method of socket.socket, whose own initialization may have been interrupted.
        socket.SocketType.close(self)


class _Lookup:
    """Lookup of one name in a thread of its own, which is left behind if it takes too long."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self.is_done = False
        self._waiting: list[SimpleQueue[None]] = []
        self.addresses: list[Address] = []
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.addresses = _addresses(self._host, self._port)
        except (OSError, UnicodeError) as error:
            self.error = error.with_traceback(None)
        finally:
            _lookups.pop((os.getpid(), self._host, self._port), None)
            self.is_done = True
            for waiting in self._waiting:
                waiting.put(None)

    def wait(self, clock: _Clock) -> None:
        """Wait for the end of the lookup; without a lock, which a signal handler would wait for."""
        wake: SimpleQueue[None] = SimpleQueue()
        self._waiting.append(wake)
        while not self.is_done:
            with suppress(Empty):
                wake.get(timeout=clock.wait_time())


_lookups: dict[tuple[int, str, int], _Lookup] = {}
"""Lookups in progress: all calls share that of a name, so that a resolver that hangs holds one thread for each name."""


def connect(
    host: str, port: int, timeout: float | None, *, local_address: str | None, is_cancelled: Callable[[], bool]
) -> socket.socket:
    """Return a socket that is connected to one of the host's addresses.

    Raises builtins.TimeoutError, Cancelled, or the OSError or UnicodeError of the lookup or of the first address.
    """
    clock = _Clock(timeout, is_cancelled)
    addresses = _resolve(host, port, clock)
    with selectors.DefaultSelector() as selector:
        try:
            return _race(addresses, local_address, selector, clock)
        finally:
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]


class _Clock:
    def __init__(self, timeout: float | None, is_cancelled: Callable[[], bool]) -> None:
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._is_cancelled = is_cancelled

    def wait_time(self) -> float:
        """Return the seconds to wait before the next call of this. Raises TimeoutError or Cancelled."""
        if self._is_cancelled():
            raise Cancelled
        if self._deadline is None:
            return _CHECK_INTERVAL
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return min(left, _CHECK_INTERVAL)


def _resolve(host: str, port: int, clock: _Clock) -> list[Address]:
    try:
        return _addresses(host, port, socket.AI_NUMERICHOST)  # no thread for an IP address
    except (OSError, UnicodeError):
        pass
    new = _Lookup(host, port)
    lookup = _lookups.setdefault((os.getpid(), host, port), new)
    if lookup is new:
        try:
            # A Thread waits until it has started, and a process for its Threads before it ends.
            _thread.start_new_thread(new.run, ())
        except RuntimeError:  # no thread can be started
            new.run()
    lookup.wait(clock)
    if lookup.error is not None:
        raise lookup.error
    return lookup.addresses


def _addresses(host: str, port: int, flags: int = 0) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    first = [entry for entry in found if entry[0] == found[0][0]]
    others = [entry for entry in found if entry[0] != found[0][0]]
    in_turn = [entry for pair in zip_longest(first, others) for entry in pair if entry is not None]
    return [(family, kind, protocol, address) for family, kind, protocol, _, address in in_turn]


def _race(
    addresses: list[Address], local_address: str | None, selector: selectors.BaseSelector, clock: _Clock
) -> socket.socket:
    waiting = iter(addresses)
    errors: list[OSError] = []
    next_start = 0.0
    exhausted = False
    while True:
        if not exhausted and (time.monotonic() >= next_start or not selector.get_map()):
            next_start = time.monotonic() + _HEAD_START
            exhausted = not _start_next(waiting, local_address, selector, errors)
        if exhausted and not selector.get_map():
            raise errors[0] if errors else OSError("the name has no address")
        seconds = clock.wait_time()
        if not exhausted:
            seconds = min(seconds, max(next_start - time.monotonic(), 0.0))
        for key, _ in selector.select(seconds):
            sock: socket.socket = key.fileobj  # type: ignore[assignment]
            selector.unregister(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code == 0:
                return sock
            sock.close()
            errors.append(OSError(code, os.strerror(code)))
            next_start = 0.0


def _start_next(
    waiting: Iterator[Address], local_address: str | None, selector: selectors.BaseSelector, errors: list[OSError]
) -> bool:
    """Start to connect to the next address that can be tried at all; return whether there is one."""
    for family, kind, protocol, address in waiting:
        sock: socket.socket | None = None
        try:
            sock = _Socket(family, kind, protocol)
            sock.setblocking(False)
            if local_address is not None:
                sock.bind((local_address, 0))
            with suppress(BlockingIOError):
                sock.connect(address)
            selector.register(sock, selectors.EVENT_WRITE)
        except OSError as error:
            errors.append(error.with_traceback(None))
            if sock is not None:
                sock.close()
        except BaseException:
            if sock is not None:
                sock.close()
            raise
        else:
            return True
    return False
