"""Downloads of artifacts after RFC 9110: ranges, conditions, empty files, and closing of files."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from support.processes import eventually
from support.servers.embedded_server import Running, serving
from support.servers.scripted_engine import ScriptedEngine

from claude_code_server.domain.engine_protocol import Outcome
from claude_code_server.domain.entities import ArtifactFile
from claude_code_server.domain.errors import ApiError
from claude_code_server.http.file_response import ByteRange, parse_range

DATA = bytes(range(256)) * 4
SHA256 = hashlib.sha256(DATA).hexdigest()


@contextmanager
def made(workspace: Path, *contents: bytes) -> Iterator[tuple[Running, httpx.Client, list[str]]]:
    """Run a server with a task that made files; yield it with a client and the files' paths."""
    found = []
    for number, content in enumerate(contents):
        (workspace / f"{number}.bin").write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        found.append(ArtifactFile(f"{number}.bin", len(content), sha256, "2026-11-22T12:00:00.000Z"))
    engine = ScriptedEngine(Outcome("completed", artifacts=tuple(found)))
    with serving(workspace, engine) as server, server.client() as client:
        task = client.post("/task", json={"description": "Do it."}).json()
        yield server, client, [f"/task/{task['id']}/artifacts/{artifact['id']}" for artifact in task["artifacts"]]


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        ("bytes=0-", 10, (0, 9)),
        ("BYTES=2-5", 10, (2, 5)),
        ("bytes=9-9", 10, (9, 9)),
        ("bytes=-3", 10, (7, 9)),
        ("bytes=-30", 10, (0, 9)),
        ("bytes=3-999999999999999999", 10, (3, 9)),
        (None, 10, None),
        ("", 10, None),
        ("bytes", 10, None),
        ("bytes=", 10, None),
        ("bytes=1 0-2 0", 30, None),
        ("bytes=5-4", 10, None),
        ("bytes=0-1,4-5", 10, None),
        ("bytes=٣-٤", 10, None),
        ("items=0-1", 10, None),
        ("bytes=-5", 0, None),
        ("bytes=10-", 10, 416),
        ("bytes=10-12", 10, 416),
        ("bytes=-0", 10, 416),
        ("bytes=0-", 0, 416),
    ],
)
def test_ranges(header: str | None, size: int, expected: tuple[int, int] | int | None) -> None:
    if expected == 416:
        with pytest.raises(ApiError) as caught:
            parse_range(header, size)
        assert (caught.value.status, caught.value.headers) == (416, {"Content-Range": f"bytes */{size}"})
    elif isinstance(expected, tuple):
        assert parse_range(header, size) == ByteRange(*expected, size)
    else:
        assert parse_range(header, size) is None


def test_a_range_requires_the_same_etag(tmp_path: Path) -> None:
    tag = f'"{SHA256}"'
    conditions = {
        tag: (206, DATA[1000:]),
        '"another"': (200, DATA),
        SHA256: (200, DATA),
        f"W/{tag}": (200, DATA),
        f"{tag}, {tag}": (200, DATA),
        "Sun, 22 Nov 2026 12:00:00 GMT": (200, DATA),
        "": (200, DATA),
    }
    with made(tmp_path, DATA) as (_, client, [url]):
        for condition, expected in conditions.items():
            response = client.get(url, headers={"Range": "bytes=1000-", "If-Range": condition})
            assert (response.status_code, response.content) == expected
            assert response.headers["etag"] == tag
            assert response.headers["content-length"] == str(len(expected[1]))
            assert ("content-range" in response.headers) == (response.status_code == 206)
        beyond = {"Range": "bytes=9999-"}
        assert client.get(url, headers={**beyond, "If-Range": tag}).status_code == 416
        assert client.get(url, headers={**beyond, "If-Range": '"another"'}).content == DATA
        assert client.get(url, headers={"If-Range": tag}).status_code == 200


def test_an_empty_file_is_served(tmp_path: Path) -> None:
    with made(tmp_path, b"") as (_, client, [url]):
        for headers in ({}, {"Range": "bytes=-1"}, {"Range": "bytes=0-", "If-Range": '"another"'}):
            response = client.get(url, headers=headers)
            assert (response.status_code, response.content, response.headers["content-length"]) == (200, b"", "0")
            assert response.headers["etag"] == f'"{hashlib.sha256(b"").hexdigest()}"'
        response = client.get(url, headers={"Range": "bytes=0-"})
        assert (response.status_code, response.headers["content-range"]) == (416, "bytes */0")
        assert response.json()["error"]["type"] == "invalid_request_error"


def test_concatenated_ranges_equal_the_file(tmp_path: Path) -> None:
    big = hashlib.shake_256(b"seed").digest(3_000_001)
    with made(tmp_path, big) as (_, client, [url]):
        got, tag = b"", ""
        while len(got) < len(big):
            headers = {"Range": f"bytes={len(got)}-", "If-Range": tag} if got else {}
            with client.stream("GET", url, headers=headers) as response:
                assert response.status_code == (206 if got else 200)
                tag = response.headers["etag"]
                got += next(response.iter_bytes(700_000))
        assert got == big


def test_every_download_closes_its_file(tmp_path: Path) -> None:
    big = bytes(20_000_000)
    with made(tmp_path, big, DATA) as (_, client, [url, folder]):
        (tmp_path / "1.bin").unlink()
        (tmp_path / "1.bin").mkdir()
        process = psutil.Process()
        client.get("/health")
        before = process.num_fds()
        for _ in range(10):
            assert client.get(folder).status_code == 404
            with client.stream("GET", url) as response:
                next(response.iter_bytes(1000))
            assert client.get(url, headers={"Range": "bytes=99999999-"}).status_code == 416
        eventually(lambda: process.num_fds() <= before)
        assert [file.path for file in process.open_files() if file.path.endswith(".bin")] == []


def test_a_file_truncated_during_the_download_breaks_the_connection(tmp_path: Path) -> None:
    with made(tmp_path, bytes(50_000_000)) as (_, client, [url]):
        with client.stream("GET", url) as response:
            chunks = response.iter_bytes(1000)
            next(chunks)
            with (tmp_path / "0.bin").open("r+b") as file:
                file.truncate(1000)
            with pytest.raises(httpx.RemoteProtocolError):
                list(chunks)
        assert client.get(url).status_code == 404


@pytest.mark.slow
def test_ranges_of_a_large_file_do_not_hash_it_each_time(tmp_path: Path) -> None:
    big = hashlib.shake_256(b"seed").digest(1_000_000) * 200
    # CPU time of this process, in which the server runs.
    started = time.process_time()
    hashlib.sha256(big).hexdigest()
    once = time.process_time() - started
    with made(tmp_path, big) as (_, client, [url]):
        started = time.process_time()
        for number in range(40):
            response = client.get(url, headers={"Range": f"bytes={number}-{number}"})
            assert response.content == big[number : number + 1]
        assert time.process_time() - started < 10 * once


def test_a_touched_file_is_served_and_a_changed_one_is_not(tmp_path: Path) -> None:
    with made(tmp_path, DATA) as (_, client, [url]):
        assert client.get(url).content == DATA
        (tmp_path / "0.bin").touch()
        assert client.get(url).content == DATA
        (tmp_path / "0.bin").write_bytes(DATA[::-1])
        assert client.get(url).status_code == 404
