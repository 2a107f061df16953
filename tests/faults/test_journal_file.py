"""The journal's file: full disks, crashes, compaction, permissions, and what is on the disk when."""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import stat
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.clients import journal_program
from support.clients.client_kinds import KEY, ClientKind
from support.servers import raw_http, responses

from claude_code_client import AsyncClaudeClient
from claude_code_client.errors import ConfigurationError

PROMPT = "CANARY-prompt"


def answer(request: raw_http.Request) -> Any:
    status = "pending" if request.method == "POST" else "completed"
    return raw_http.response(202 if request.method == "POST" else 200, responses.task(status))


@pytest.fixture
def server() -> Iterator[raw_http.SocketServer]:
    with raw_http.serve(raw_http.SocketServer(answer)) as server:
        yield server


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``size``: a write is cut short there, like on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 1, 30])
def test_full_disk(both: ClientKind, server: raw_http.SocketServer, tmp_path: Path, room: int) -> None:
    """A submit that is not on the disk is not sent, and the entries around it are intact."""
    journal = tmp_path / "journal"
    client = both.client(server.base_url, journal=journal)
    both.call(client.submit_task("before")).detach()
    with largest_file(journal.stat().st_size + room), pytest.raises(ConfigurationError, match="journal"):
        both.call(client.submit_task("torn"))
    assert len(server.requests) == 1
    both.call(client.submit_task("after")).detach()
    recovered = both.client(server.base_url, journal=journal)._connection.state.journal.unfinished()
    assert [entry.body["description"] for entry in recovered] == ["before", "after"]
    both.call(client.close())


def test_new_file_outlives_a_crash(
    both: ClientKind, server: raw_http.SocketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is on the disk before the request is sent."""
    synced: list[tuple[int, int]] = []
    fsync = os.fsync

    def note(file: int) -> None:
        synced.append((os.fstat(file).st_ino, len(server.requests)))
        fsync(file)

    monkeypatch.setattr(os, "fsync", note)
    client = both.client(server.base_url, journal=tmp_path / "journal")
    (tmp_path / "journal").unlink()  # as a tool that cleans up does
    both.call(client.submit_task("x")).detach()
    monkeypatch.undo()
    both.call(client.close())
    assert (tmp_path.stat().st_ino, 0) in synced[synced.index(((tmp_path / "journal").stat().st_ino, 0)) :]


def test_prompts_do_not_stay(both: ClientKind, server: raw_http.SocketServer, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    client = both.client(server.base_url, journal=journal)
    both.call(client.execute_task(PROMPT))
    assert journal.read_bytes() == b""
    both.call(client.submit_task("another")).detach()
    for _ in range(3):
        both.call(client.execute_task(PROMPT))
    both.call(client.close())
    both.client(server.base_url, journal=journal)
    assert PROMPT.encode() not in journal.read_bytes()
    assert journal.read_bytes().count(b'"another"') == 1
    assert list(tmp_path.iterdir()) == [journal]


def test_growing_file_is_compacted(
    both: ClientKind, server: raw_http.SocketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a process in which a task is always in progress."""
    monkeypatch.setattr("claude_code_client._files.journal._GROWN", 5000)
    journal = tmp_path / "journal"
    client = both.client(server.base_url, journal=journal)
    both.call(client.submit_task("another")).detach()
    for _ in range(12):
        both.call(client.execute_task("x" * 1000))
        assert journal.stat().st_size < 7000
    both.call(client.close())


def test_a_file_that_is_no_journal_is_left_alone(
    both: ClientKind, server: raw_http.SocketServer, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    notes.write_bytes(b"My notes.\n")
    client = both.client(server.base_url, journal=notes)
    both.call(client.execute_task("x"))
    both.call(client.close())
    assert notes.read_bytes().startswith(b"My notes.\n")


def test_existing_file_becomes_private(both: ClientKind, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    journal.touch()
    journal.chmod(0o644)
    both.client("http://127.0.0.1:9/v1", journal=journal)
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600


def test_path_that_is_no_file(both: ClientKind, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(ConfigurationError, match="regular file"):
            both.client("http://127.0.0.1:9/v1", journal=path)


def test_symbolic_link_stays(both: ClientKind, server: raw_http.SocketServer, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "journal"
    link.symlink_to(tmp_path / "real" / "journal")
    client = both.client(server.base_url, journal=link)
    both.call(client.execute_task(PROMPT))
    both.call(client.close())
    assert link.is_symlink()
    assert (tmp_path / "real" / "journal").read_bytes() == b""


@pytest.mark.slow
@pytest.mark.parametrize("tasks", [20, pytest.param(400, marks=pytest.mark.long)])
def test_processes_that_are_killed_and_that_share_the_file(tmp_path: Path, tasks: int) -> None:
    program = [sys.executable, "-W", "error", journal_program.__file__, str(tmp_path), str(tasks)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=raw_http.TIMEOUT * 3, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 10, done.stdout


def test_cancelled_submit_leaves_no_entry(server: raw_http.SocketServer, tmp_path: Path) -> None:
    """The thread that writes it may get its turn after the one that notes that nobody wants the task."""
    journal = tmp_path / "journal"

    def writing() -> int:
        stacks = (traceback.walk_stack(frame) for frame in sys._current_frames().values())
        return sum(any(frame.f_code.co_name.startswith("_write") for frame, _ in stack) for stack in stacks)

    async def main() -> None:
        async with AsyncClaudeClient(KEY, server.base_url, journal=journal) as client:
            with journal.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                call = asyncio.ensure_future(client.execute_task("x"))
                for threads in (1, 2):
                    while writing() < threads:  # noqa: ASYNC110 (what holds a thread up sets no event)
                        await asyncio.sleep(0.001)
                    call.cancel()
            await asyncio.wait([call])
            assert call.cancelled()
            assert await client.recover() == []

    for _ in range(8):
        asyncio.run(main())
    assert server.requests == []
