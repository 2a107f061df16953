"""Calls that end before anything was sent: nothing is submitted afterwards, and nothing stays reserved."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.clients.background_work import wait_for_background_work
from support.clients.client_kinds import ClientKind

from claude_code_client._files.journal import Journal
from claude_code_client.errors import APIConnectionError
from claude_code_client.models import ModelInfo


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Accept connections in the kernel only: the TLS handshake never ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


async def _read(stream: Any) -> None:
    async for _ in stream:
        pass


CALLS: dict[str, Callable[[Any], Any]] = {
    "execute_task": lambda client: client.execute_task("x", timeout=20),
    "complete": lambda client: client.complete("x", timeout=20),
    "stream_complete": lambda client: list(client.stream_complete("x", timeout=20)),
    "stream_complete, async": lambda client: _read(client.stream_complete("x", timeout=20)),
}
MODEL = ModelInfo(id="m", input_price=1, output_price=1, context_window=9, max_output_tokens=9, default=True)


# An interrupted handshake leaves its socket to the collector, in the standard library.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("call", ["execute_task", "complete", "stream_complete"])
def test_call_cancelled_before_anything_was_sent(
    both: ClientKind, silent: socket.socket, tmp_path: Path, call: str
) -> None:
    client = both.client(f"https://127.0.0.1:{silent.getsockname()[1]}", journal=tmp_path / "journal")
    client._connection.state.models = [MODEL]  # as if it had fetched them before
    start = CALLS.get(f"{call}, {both.kind}", CALLS[call])

    async def coroutine() -> None:
        call = asyncio.ensure_future(start(client))
        await asyncio.to_thread(_accept, silent, accepted)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    def thread() -> None:
        def interrupt() -> None:
            _accept(silent, accepted)
            os.kill(os.getpid(), signal.SIGINT)

        interrupting = threading.Thread(target=interrupt)
        interrupting.start()
        with pytest.raises(KeyboardInterrupt):
            start(client)
        interrupting.join()

    accepted: list[socket.socket] = []
    with client.budget(5) as budget:
        both.call((coroutine if both.kind == "async" else thread)())
        wait_for_background_work()
        assert (budget.reserved, budget.spent) == (0, 0)
    assert Journal(tmp_path / "journal").unfinished() == []
    # No other connection, on which the task would be submitted only to be cancelled.
    silent.setblocking(False)
    with pytest.raises(BlockingIOError):
        silent.accept()
    for connection in accepted:
        connection.close()
    gc.collect()


@pytest.mark.usefixtures("short_backoff")
@pytest.mark.parametrize("call", ["execute_task", "complete", "stream_complete"])
def test_call_to_a_server_that_is_down_leaves_nothing_reserved(both: ClientKind, call: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = both.client(f"http://127.0.0.1:{port}")
    client._connection.state.models = [MODEL]
    with client.budget(5) as budget:
        with pytest.raises(APIConnectionError) as caught:
            both.call(CALLS.get(f"{call}, {both.kind}", CALLS[call])(client))
        assert (caught.value.attempts, caught.value.outcome_unknown) == (4, False)
        assert (budget.reserved, budget.spent) == (0, 0)


def _accept(listener: socket.socket, accepted: list[Any]) -> None:
    connection, _ = listener.accept()
    accepted.append(connection)
    assert connection.recv(1)  # the client has begun the handshake
