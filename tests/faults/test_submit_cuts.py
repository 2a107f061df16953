"""Submits cut at any byte of the request or response: the retry runs exactly one task."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Literal, get_args

import pytest
from support.clients.concurrent_calls import make_client
from support.fault_proxy.exchange import Exchange, Once
from support.fault_proxy.faults import CutRequest, CutResponse, Way
from support.fault_proxy.proxy import FaultProxy, Port
from support.servers.context_server import ContextServer

AT_ONCE = 48
STRIDE = 31
"""Bytes between two cuts in the short run; a prime number, so that it does not coincide with any structure."""
Cut = CutRequest | CutResponse


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("way", get_args(Way))
@pytest.mark.parametrize("stride", [STRIDE, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.timeout(300)
def test_one_task_for_a_cut_at_any_byte(
    server: ContextServer, proxy: FaultProxy, kind: Literal["sync", "async"], way: Way, stride: int
) -> None:
    whole = _whole_exchange(kind, server, proxy)
    cuts: list[Cut] = [CutRequest(at, way) for at in _offsets(whole.request_bytes, stride)]
    cuts += [CutResponse(at, way) for at in _offsets(whole.response_bytes, stride)]
    ports = Ports(proxy, server)
    summaries = _submit_all(kind, ports, cuts)
    assert summaries == [f"Done: {_described(cut)}" for cut in cuts]
    assert server.tasks_by_description() == server.engine.runs == Counter(map(_described, ["whole", *cuts]))
    assert ports.counts()["none"] > 0
    assert sum(ports.counts().values()) - ports.counts()["none"] == len(cuts)
    print(
        f"{kind}, {way}: {whole.request_bytes} bytes of the request and {whole.response_bytes} of the response, "
        f"cut at {len(cuts)} places; {len(server.tasks()) - 1} tasks for {len(cuts)} submits"
    )


def _described(what: Cut | str) -> str:
    """Return a description of the same length for each cut."""
    return f"{what!s:<48}"


def _offsets(length: int, stride: int) -> list[int]:
    return sorted({*range(0, length, stride), length - 1, length})


class Ports:
    """Ports of the proxy, one per concurrent submit."""

    def __init__(self, proxy: FaultProxy, server: ContextServer) -> None:
        self._all = [proxy.open(server.address) for _ in range(AT_ONCE)]
        self._free: SimpleQueue[Port] = SimpleQueue()
        for port in self._all:
            self._free.put(port)

    @contextmanager
    def cutting(self, cut: Cut) -> Iterator[Port]:
        port = self._free.get_nowait()
        port.plan = Once(cut)
        yield port
        self._free.put(port)

    def counts(self) -> Counter[str]:
        return sum((port.counts for port in self._all), Counter())


def _submit_all(kind: str, ports: Ports, cuts: list[Cut]) -> list[str]:
    """Submit a task per cut; return the summaries in the order of the cuts."""

    def submit(cut: Cut) -> str:
        with ports.cutting(cut) as port, make_client("sync", port.base_url, timeout=30) as client:
            return str(client.execute_task(_described(cut)).result["summary"])

    async def all_of_them() -> list[str]:
        turn = asyncio.Semaphore(AT_ONCE)

        async def submit(cut: Cut) -> str:
            async with turn:
                with ports.cutting(cut) as port:
                    async with make_client("async", port.base_url, timeout=30) as client:
                        return str((await client.execute_task(_described(cut))).result["summary"])

        return await asyncio.gather(*map(submit, cuts))

    if kind == "async":
        return asyncio.run(all_of_them())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(submit, cuts))


def _whole_exchange(kind: str, server: ContextServer, proxy: FaultProxy) -> Exchange:
    """Return the exchange of a submit that is not cut, for its length."""
    port = proxy.open(server.address)
    client: Any = make_client(kind, port.base_url, timeout=30)

    async def submit() -> None:
        async with client:
            await client.execute_task(_described("whole"))

    if kind == "async":
        asyncio.run(submit())
    else:
        with client:
            client.execute_task(_described("whole"))
    submits = [exchange for exchange in port.seen if exchange.is_submit]
    assert len(submits) == 1
    return submits[0]
