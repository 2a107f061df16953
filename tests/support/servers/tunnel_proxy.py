"""HTTP proxy with CONNECT, and the socket server below it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from . import raw_http


@contextmanager
def accepting(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Pass one connection to a function, in a thread; yield the address."""

    def accept() -> None:
        with suppress(OSError), listener.accept()[0] as peer:
            peer.settimeout(raw_http.TIMEOUT)
            serve(peer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(raw_http.TIMEOUT)


def tunnel_to(target: str, heads: list[bytes]) -> Callable[[socket.socket], None]:
    """Return a proxy that connects every tunnel to ``target``."""
    host, _, port = target.partition(":")

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve(peer: socket.socket) -> None:
        heads.append(peer.recv(1 << 16))
        with socket.create_connection((host, int(port))) as server:
            peer.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=pump, args=(server, peer))
            back.start()
            pump(peer, server)
            back.join(raw_http.TIMEOUT)

    return serve
