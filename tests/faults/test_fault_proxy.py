"""Fault proxy: it injects exactly the planned faults, on which the other tests here rely."""

from __future__ import annotations

import socket
import time

import pytest
from support.fault_proxy.exchange import Once
from support.fault_proxy.faults import (
    CutRequest,
    CutResponse,
    Drip,
    Fault,
    Refuse,
    Response,
    Stall,
    StallRequest,
    error_response,
)
from support.fault_proxy.proxy import FaultProxy, Port
from support.servers.context_server import ContextServer

REQUEST = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def exchange(port: Port) -> tuple[bytes, str]:
    """Send a request on a new connection; return the response and how the connection ends."""
    received = b""
    with socket.socket() as peer:
        peer.settimeout(0.25)
        try:
            peer.connect(port.address)
            peer.sendall(REQUEST)
            while piece := peer.recv(65536):
                received += piece
        except TimeoutError:
            return received, "open"
        except ConnectionRefusedError:
            raise
        except ConnectionError:
            return received, "rst"
        return received, "fin"


@pytest.mark.parametrize(
    ("fault", "length", "end"),
    [
        (CutRequest(0, "fin"), 0, "fin"),
        (CutRequest(0, "rst"), 0, "rst"),
        (CutRequest(7, "fin"), 0, "fin"),
        (CutRequest(7, "rst"), 0, "rst"),
        (CutResponse(0, "fin"), 0, "fin"),
        (CutResponse(33, "fin"), 33, "fin"),
        (CutResponse(33, "rst"), 33, "rst"),
        (StallRequest(7), 0, "open"),
        (Stall(12), 12, "open"),
        (Response(b"nonsense", "garbage", close=True), 8, "fin"),
        (Refuse(5), 0, "rst"),
    ],
    ids=repr,
)
def test_cuts_end_the_connection(server: ContextServer, proxy: FaultProxy, fault: Fault, length: int, end: str) -> None:
    port = proxy.open(server.address, Once(fault))
    received, ended = exchange(port)
    assert (len(received), ended) == (length, end)
    assert port.counts == {fault.name: 1}


def test_complete_exchanges(server: ContextServer, proxy: FaultProxy) -> None:
    plans: dict[int, Fault] = {1: Stall(20, 0.1), 2: Drip(0, 0.0005), 3: error_response(503, "0")}
    port = proxy.open(server.address, lambda exchange: plans.get(exchange.number) if exchange.path else None)
    plain, delayed, dripped, refused = (exchange(port)[0] for _ in range(4))
    assert len(plain) == len(delayed) == len(dripped)
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert port.counts == {"none": 1, "response delayed": 1, "response dripped": 1, "503": 1}
    assert [seen.path for seen in port.exchanges] == ["/v1/health"] * 4


def test_refused_connections(server: ContextServer, proxy: FaultProxy) -> None:
    port = proxy.open(server.address, Once(Refuse(0.2)))
    assert exchange(port) == (b"", "rst")
    refused, received, limit = 0, b"", time.monotonic() + 5
    while not received and time.monotonic() < limit:
        try:
            received, _ = exchange(port)
        except ConnectionRefusedError:
            refused += 1
    assert refused > 0
    assert received.startswith(b"HTTP/1.1 200 ")
