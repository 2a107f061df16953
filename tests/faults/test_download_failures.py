"""Downloads that fail on disk or are abandoned: the old file stays as it was."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind, open_client_kind
from support.clients.download_process import NoNamespacesError, run_download
from support.files import assert_untouched, file_names, old_file
from support.interruption import signal_main_thread
from support.servers import raw_http
from support.servers.scripted_downloads import (
    DownloadResponse,
    DownloadScript,
    requested_part,
    respond_with,
    scripted_downloads,
)
from support.stalls import in_time

from claude_code_client import ClaudeClient, errors

DATA = random.Random(5).randbytes(5000)
LARGE = DATA * 700  # 3.5 MB, several blocks


def download(both: ClientKind, script: DownloadScript, to: Any, **options: Any) -> Any:
    client = both.client(script.base_url, max_retries=0)
    return both.call(client.download_artifact("task_1", script.artifact, to, **options))


# ---- the disk


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sync", pytest.param("async", marks=pytest.mark.long)])
def test_real_full_disk(kind: str, tmp_path: Path) -> None:
    with scripted_downloads(LARGE) as script:
        order = {"kind": kind, "to": str(tmp_path / "x"), "urls": [script.base_url]}
        try:
            said = run_download(order, disk=2_000_000)
        except NoNamespacesError:
            pytest.skip("no namespace to mount a small disk in; an injected ENOSPC is tested in any case")
        assert (said["error"], said["errno"]) == ("StorageError", errno.ENOSPC)
        assert "Make room" in said["message"]
        assert said["untouched"]
        assert said["names"] == ["x"]
        assert run_download(order, disk=2 * len(LARGE))["error"] is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["async", pytest.param("sync", marks=pytest.mark.long)])
def test_file_size_limit_exceeded(kind: str, tmp_path: Path) -> None:
    with scripted_downloads(LARGE) as script:
        said = run_download(
            {"kind": kind, "to": str(tmp_path / "x"), "urls": [script.base_url], "file_size": len(LARGE) - 1}
        )
    assert (said["error"], said["errno"]) == ("StorageError", errno.EFBIG)
    assert said["untouched"]
    assert said["names"] == ["x"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_full_disk_error_message(both: ClientKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, write = old_file(tmp_path), os.write
    with scripted_downloads(DATA) as script, Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(os, "write", lambda _, data: write(full.fileno(), data))
        with assert_untouched(tmp_path), pytest.raises(errors.StorageError, match="Make room") as caught:
            download(both, script, old)
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.ENOSPC
    assert str(old) in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_disk_failure_at_the_end(both: ClientKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    old = old_file(tmp_path)
    with scripted_downloads(DATA) as script, assert_untouched(tmp_path), monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        for to in (old, f"{tmp_path}/new/"):
            with pytest.raises(errors.StorageError) as caught:
                download(both, script, to)
            assert caught.value.errno == errno.EIO


def test_permission_denied(both: ClientKind, tmp_path: Path) -> None:
    # Root may write into any folder of a disk.
    closed = tmp_path / "closed" if os.geteuid() else Path("/sys")
    if os.geteuid():
        closed.mkdir(mode=0o500)
    with scripted_downloads(DATA) as script, pytest.raises(errors.StorageError, match="right to write") as caught:
        download(both, script, closed / "x")
    assert caught.value.errno in (errno.EACCES, errno.EPERM)


def test_short_writes(both: ClientKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, bytes(data[:999])))
    with scripted_downloads(DATA) as script:
        assert download(both, script, tmp_path / "x").read_bytes() == DATA


# ---- left early


class OwnError(Exception):
    """Exception of the caller."""


@pytest.mark.parametrize("raised", [OwnError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("at", ["first", "last"])
def test_exception_in_the_callback(both: ClientKind, tmp_path: Path, raised: type[BaseException], at: str) -> None:
    old = old_file(tmp_path)
    mine = raised("mine")

    def stop(done: int, total: int) -> None:
        if at == "first" or done == total:
            raise mine

    async def wait_and_stop(done: int, total: int) -> None:
        await asyncio.sleep(0)
        stop(done, total)

    with scripted_downloads(LARGE) as script, assert_untouched(tmp_path):
        for to in (old, f"{tmp_path}/new/"):
            for callback in (stop, wait_and_stop) if both.kind == "async" else (stop,):
                with pytest.raises(raised) as caught:
                    download(both, script, to, on_progress=callback)
                assert caught.value is mine


def stalling(after: int, stalled: threading.Event, released: threading.Event) -> DownloadResponse:
    def respond(script: DownloadScript, request: raw_http.Request) -> Iterator[bytes]:
        data = b"".join(requested_part(script, request))
        head = data.index(b"\r\n\r\n") + 4
        yield data[: head + after]
        stalled.set()
        released.wait(raw_http.TIMEOUT)

    return respond


@pytest.mark.parametrize("after", [0, 100, 2_000_000])
def test_keyboard_interrupt_during_a_stall(both: ClientKind, tmp_path: Path, after: int) -> None:
    stalled, released = threading.Event(), threading.Event()

    def interrupt() -> None:
        assert stalled.wait(raw_http.TIMEOUT)
        signal_main_thread(signal.SIGINT)

    old = old_file(tmp_path)
    waiting = threading.Thread(target=interrupt)
    with scripted_downloads(LARGE, stalling(after, stalled, released)) as script, assert_untouched(tmp_path):
        waiting.start()
        with pytest.raises(KeyboardInterrupt):
            download(both, script, old)
        waiting.join()
        released.set()


@pytest.mark.parametrize("after", [0, 100, 2_000_000])
def test_cancelled_asyncio_task(tmp_path: Path, after: int) -> None:
    stalled, released = threading.Event(), threading.Event()
    old = old_file(tmp_path)

    async def main(client: Any, to: Any) -> None:
        stalled.clear()
        downloading = asyncio.create_task(client.download_artifact("task_1", "art_1", to))
        assert await asyncio.to_thread(stalled.wait, raw_http.TIMEOUT)
        downloading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await downloading

    with (
        open_client_kind("async") as both,
        scripted_downloads(LARGE, stalling(after, stalled, released)) as script,
        assert_untouched(tmp_path),
    ):
        client = both.client(script.base_url)
        for to in (old, f"{tmp_path}/new/er/"):
            both.call(main(client, to))
        released.set()


def test_asyncio_task_cancelled_during_a_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writing thread cannot be stopped; its file stays open until it is done."""
    busy, go_on = threading.Event(), threading.Event()
    write = os.write
    wrote: list[int] = []

    def slow(file: int, data: Any) -> int:
        busy.set()
        assert go_on.wait(raw_http.TIMEOUT)
        wrote.append(write(file, data))
        return wrote[-1]

    old = old_file(tmp_path)

    async def main(client: Any) -> None:
        downloading = asyncio.create_task(client.download_artifact("task_1", "art_1", old))
        assert await asyncio.to_thread(busy.wait, raw_http.TIMEOUT)
        downloading.cancel()
        await asyncio.sleep(0.05)
        assert not downloading.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await downloading

    with open_client_kind("async") as both, scripted_downloads(DATA) as script, assert_untouched(tmp_path):
        monkeypatch.setattr(os, "write", slow)
        both.call(main(both.client(script.base_url)))
    assert wrote == [len(DATA)]


def test_fork_keeps_its_parents_files(tmp_path: Path) -> None:
    code = """
import os, sys
from claude_code_client._files.atomic_file import AtomicFile
target = AtomicFile.locate(sys.argv[1] + "/new/", "docs/x")
target.begin()
if os.fork() == 0:
    target.discard()
    os._exit(0)
os.wait()
target.write(b"whole")
print(target.commit().read_text())
"""
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=paths, capture_output=True, text=True)
    assert ran.stdout.split() == ["whole"], ran.stderr


def test_client_closed_by_another_thread(both: ClientKind, tmp_path: Path) -> None:
    stalled, released = threading.Event(), threading.Event()
    old = old_file(tmp_path)

    async def close_elsewhere() -> None:
        downloading = asyncio.create_task(client.download_artifact("task_1", "art_1", old))
        assert await asyncio.to_thread(stalled.wait, raw_http.TIMEOUT)
        await client.close()
        await downloading

    def download_while_closing() -> Any:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: stalled.wait(raw_http.TIMEOUT) and client.close())
            return client.download_artifact("task_1", "art_1", old)

    with scripted_downloads(LARGE, stalling(2_000_000, stalled, released)) as script, assert_untouched(tmp_path):
        client = both.client(script.base_url)
        with pytest.raises(errors.ClosedError) as caught:
            both.call(close_elsewhere() if both.kind == "async" else download_while_closing())
        released.set()
    assert caught.value.task_id == "task_1"


def test_timeout_covers_the_whole_download(both: ClientKind, tmp_path: Path) -> None:
    def dripping(script: DownloadScript, request: raw_http.Request) -> Iterator[bytes]:
        data = b"".join(requested_part(script, request))
        for at in range(0, len(data), 20):
            yield data[at : at + 20]
            time.sleep(0.01)

    old = old_file(tmp_path)
    with (
        scripted_downloads(DATA, dripping) as script,
        assert_untouched(tmp_path),
        in_time(0.3),
        pytest.raises(errors.TimeoutError, match="larger timeout") as caught,
    ):
        download(both, script, old, timeout=0.3)
    assert caught.value.task_id == "task_1"


# ---- much, and many


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["async", pytest.param("sync", marks=pytest.mark.long)])
def test_memory_use_is_constant(kind: str, tmp_path: Path) -> None:
    block, blocks = DATA * 200, 60  # of 1 MB
    digest = hashlib.sha256()
    for _ in range(blocks):
        digest.update(block)

    def endless(script: DownloadScript, request: raw_http.Request) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(block) * blocks)
        for _ in range(blocks):
            yield block

    record = {"size_bytes": len(block) * blocks, "sha256": digest.hexdigest()}
    with scripted_downloads(LARGE) as warm, scripted_downloads(b"", endless, **record) as script:
        said = run_download({"kind": kind, "to": str(tmp_path / "x"), "urls": [warm.base_url, script.base_url]})
    assert said["error"] is None
    assert said["size"] == len(block) * blocks
    grown = said["peaks"][1] - said["peaks"][0]
    print(f"{kind}: {said['size'] / 1e6:.0f} MB, memory grew by {grown / 1e6:.1f} MB")
    assert grown < 20e6


@pytest.mark.slow
def test_concurrent_downloads_to_the_same_target(both: ClientKind, tmp_path: Path) -> None:
    """Each writes a complete file; one that fails does not affect the others."""
    number = 12
    barrier = threading.Barrier(number, timeout=raw_http.TIMEOUT)

    def together(script: DownloadScript, request: raw_http.Request) -> Iterator[bytes]:
        # One after another they are let go in their middle; every third one is cut for good.
        data = b"".join(requested_part(script, request))
        turn = barrier.wait()
        yield data[: len(data) // 2]
        barrier.wait()
        yield data[len(data) // 2 :] if turn % 3 else b"x" * (len(data) - len(data) // 2)

    def one(_: int) -> Any:
        try:
            return client.download_artifact("task_1", script.artifact, to)
        except errors.ArtifactMismatchError as error:
            return error

    async def all_of_them() -> list[Any]:
        calls = (client.download_artifact("task_1", script.artifact, to) for _ in range(number))
        return await asyncio.gather(*calls, return_exceptions=True)

    to = f"{tmp_path}/new/er/"
    with scripted_downloads(LARGE, together) as script:
        client = both.client(script.base_url)
        if both.kind == "async":
            outcomes = both.call(all_of_them())
        else:
            with ThreadPoolExecutor(number) as pool:
                outcomes = list(pool.map(one, range(number)))
    place = tmp_path / "new" / "er" / "docs" / "report.bin"
    assert [type(outcome) for outcome in outcomes].count(errors.ArtifactMismatchError) == number // 3
    assert outcomes.count(place) == number - number // 3
    assert place.read_bytes() == LARGE
    assert file_names(place.parent) == ["report.bin"]


@pytest.mark.slow
def test_concurrent_downloads_into_one_new_directory(tmp_path: Path) -> None:
    """A failed download removes the directories that it created, even while others are about to use them."""

    def call(number: int) -> str:
        script = scripts[number % 2]
        try:
            client.download_artifact("task_1", script.artifact, f"{tmp_path}/{number // 4}/sub/")
        except errors.ArtifactMismatchError:
            return "wrong"
        return "stored"

    def either(request: raw_http.Request) -> Any:
        wrong = "art_2" in request.path
        return respond_with(200, DATA[::-1])(script, request) if wrong else script(request)

    with (
        scripted_downloads(DATA) as script,
        raw_http.serve(raw_http.SocketServer(either)) as server,
        ThreadPoolExecutor(8) as pool,
    ):
        scripts = script, DownloadScript(DATA, [], {**script.record, "id": "art_2"})
        with ClaudeClient("sk-proj-x", server.base_url) as client:
            outcomes = list(pool.map(call, range(400)))
    assert outcomes == ["stored", "wrong"] * 200
    for number in range(100):
        assert file_names(tmp_path / str(number) / "sub" / "docs") == ["report.bin"]
