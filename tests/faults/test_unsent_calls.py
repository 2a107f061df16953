"""Calls that end before anything was sent: nothing is submitted afterwards, and nothing stays reserved."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.clients.background_work import wait_for_background_work
from support.clients.client_kinds import ClientKind

from claude_code_client._files.journal import Journal


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Accept connections in the kernel only: the TLS handshake never ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


# An interrupted handshake leaves its socket to the collector, in the standard library.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_call_cancelled_before_anything_was_sent(both: ClientKind, silent: socket.socket, tmp_path: Path) -> None:
    client = both.client(f"https://127.0.0.1:{silent.getsockname()[1]}", journal=tmp_path / "journal")

    async def coroutine() -> None:
        call = asyncio.ensure_future(client.execute_task("x", timeout=20))
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
            client.execute_task("x", timeout=20)
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


def _accept(listener: socket.socket, accepted: list[Any]) -> None:
    connection, _ = listener.accept()
    accepted.append(connection)
    assert connection.recv(1)  # the client has begun the handshake
