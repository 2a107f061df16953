"""Downloads that are cut or altered on the way: the file is complete."""

from __future__ import annotations

import gzip
import hashlib
import random
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pytest
from support.clients.client_kinds import ClientKind
from support.fault_proxy.exchange import Exchange, Once
from support.fault_proxy.faults import CutResponse, Fault, Stall, Way
from support.fault_proxy.proxy import FaultProxy
from support.files import file_names, old_file
from support.servers import raw_http
from support.servers.embedded_server import KEY as SERVER_KEY
from support.servers.embedded_server import serving as embedded
from support.servers.scripted_downloads import (
    DATA,
    ETAG,
    OTHER,
    DownloadResponse,
    DownloadScript,
    chunked_body,
    cut_after,
    download,
    drop,
    giving,
    requested_part,
    respond_with,
    respond_with_error,
    scripted_downloads,
    until_closed,
    whole_file,
)
from support.servers.scripted_engine import ScriptedEngine

from claude_code_client._client.artifact_reader import attach_reader
from claude_code_server.domain.engine_protocol import Outcome
from claude_code_server.domain.entities import ArtifactFile
from claude_code_server.domain.usage import Usage

SMALL = DATA[:97]
LARGE = DATA * 700  # 3.5 MB, several blocks


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claude_code_client._policy.reconnect.BASE_DELAY", 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("way", get_args(Way))
@pytest.mark.parametrize("parts", [2, pytest.param(1, marks=pytest.mark.long)])
def test_cut_at_every_byte(both: ClientKind, proxy: FaultProxy, tmp_path: Path, way: Way, parts: int) -> None:
    """In the short run each test takes every second byte, so that each client and each way take all of them."""
    part = ((both.kind == "async") + (way == "rst")) % parts
    old = old_file(tmp_path)
    with scripted_downloads(SMALL) as script:
        port = proxy.open(_address(script))
        download(both, script, old, base_url=port.base_url)
        length = port.seen[-1].response_bytes
        head = length - len(SMALL)
        places = range(head + part, length + 1, parts)
        for at in places:
            old_file(tmp_path)
            script.ranges.clear()
            port.plan = Once(CutResponse(at, way))
            assert download(both, script, old, base_url=port.base_url).read_bytes() == SMALL
            assert file_names(tmp_path) == [old.name]
            if way == "fin":
                # A reset may take along what was on its way.
                cut_off = [] if at == length else [None if at == head else f"bytes={at - head}-"]
                assert script.ranges == [None, *cut_off]
        print(f"{both.kind}, {way}: {port.counts[CutResponse(0, way).name]} cuts of {len(SMALL)} bytes")
        assert port.counts[CutResponse(0, way).name] == len(places)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_repeated_random_cuts(both: ClientKind, proxy: FaultProxy, tmp_path: Path, seed: int) -> None:
    """The proxy cuts every response of the embedded server until most of the file has arrived."""
    chance = random.Random(seed)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "x").write_bytes(LARGE)
    found = ArtifactFile("x", len(LARGE), hashlib.sha256(LARGE).hexdigest(), "2026-11-22T12:00:00.000Z")
    engine = ScriptedEngine(Outcome("completed", artifacts=(found,), usage=Usage(1, 1, 0.0)))

    def plan(exchange: Exchange) -> Fault | None:
        if "/artifacts/" not in exchange.path:
            return None
        return CutResponse(chance.randrange(1000, 400_000), chance.choice(get_args(Way)))

    with embedded(workspace, engine) as server:
        port = proxy.open(server.address, plan)
        client = both.client(port.base_url, api_key=SERVER_KEY)
        task = both.call(client.execute_task("Write x."))
        place = both.call(client.download_artifact(task, task.artifacts[0], f"{tmp_path}/target/"))
    assert place.read_bytes() == LARGE
    assert file_names(place.parent) == ["x"]
    ranges = [exchange.headers.get("range") for exchange in port.seen if "/artifacts/" in exchange.path]
    assert len(ranges) >= len(LARGE) // 400_000
    assert ranges[0] is None
    print(f"{both.kind}: {len(LARGE)} bytes over {len(ranges)} connections")


def _address(script: DownloadScript) -> tuple[str, int]:
    parts = urlsplit(script.base_url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def short(script: DownloadScript, request: raw_http.Request) -> list[bytes]:
    """Send at most 1000 bytes of the requested part and declare them as such (RFC 9110, 15.3.7)."""
    if "range" not in request.headers:
        return list(cut_after(1000)(script, request) or ())[:2]
    start = int(request.headers["range"].removeprefix("bytes=").rstrip("-"))
    end = min(start + 1000, len(script.data))
    headers = {"Content_Range": f"bytes {start}-{end - 1}/{len(script.data)}", "ETag": script.etag}
    return raw_http.response(206, script.data[start:end], **headers)


def weak(script: DownloadScript, _: raw_http.Request) -> list[bytes]:
    return raw_http.response(200, script.data, ETag=f"W/{script.etag}")


def bare(script: DownloadScript, _: raw_http.Request) -> list[bytes]:
    return raw_http.response(200, script.data)


def zipped(script: DownloadScript, _: raw_http.Request) -> list[bytes]:
    return raw_http.response(200, gzip.compress(script.data), ETag=script.etag, Content_Encoding="gzip")


FROM_100 = "bytes=100-"
RESUMED: dict[str, tuple[list[DownloadResponse], list[str | None]]] = {
    "a part": ([cut_after(100), requested_part], [None, FROM_100]),
    "part after part": (
        [cut_after(100), cut_after(900), cut_after(0), requested_part],
        [None, FROM_100, "bytes=1000-", "bytes=1000-"],
    ),
    "no Range there": ([cut_after(100), whole_file], [None, FROM_100]),
    "no Range there, cut": (
        [cut_after(100), cut_after(4000, whole_file), requested_part],
        [None, FROM_100, "bytes=4000-"],
    ),
    "short parts": ([cut_after(1000), short], [None, "bytes=1000-", "bytes=2000-", "bytes=3000-", "bytes=4000-"]),
    "another part": ([cut_after(100), giving(99), requested_part], [None, FROM_100, None]),
    "another part, and cut": (
        [cut_after(100), giving(99), cut_after(200), requested_part],
        [None, FROM_100, None, None],
    ),
    "a part of it all": ([cut_after(100), giving(0), requested_part], [None, FROM_100, None]),
    "a part of something else": (
        [cut_after(100), giving(100, "bytes 100-9998/9999"), requested_part],
        [None, FROM_100, None],
    ),
    "a part without a position": (
        [cut_after(100), giving(100, "bytes 100-4999/*"), requested_part],
        [None, FROM_100, None],
    ),
    "a part of words": ([cut_after(100), giving(100, "words 1-2/3"), requested_part], [None, FROM_100, None]),
    "a part that is not said to be one": ([cut_after(100), giving(100, ""), requested_part], [None, FROM_100, None]),
    "a part with another ETag": ([cut_after(100), giving(100, ETag=OTHER), requested_part], [None, FROM_100, None]),
    "a part that is encoded": (
        [cut_after(100), giving(100, Content_Encoding="gzip"), requested_part],
        [None, FROM_100, None],
    ),
    "a part that was not requested": ([giving(0), requested_part], [None, None]),
    "no such part": (
        [cut_after(100), respond_with_error(416, "invalid_request_error"), requested_part],
        [None, FROM_100, None],
    ),
    "trouble": (
        [cut_after(100), respond_with_error(503), respond_with_error(500), requested_part],
        [None, FROM_100, FROM_100, FROM_100],
    ),
    "too often": (
        [cut_after(100), respond_with_error(429, "rate_limit_error", Retry_After="0"), requested_part],
        [None, FROM_100, FROM_100],
    ),
    "a proxy's page": (
        [cut_after(100), respond_with(502, b"<html>", Content_Type="text/html"), requested_part],
        [None, FROM_100, FROM_100],
    ),
    "a redirection": (
        [cut_after(100), respond_with(302, Location="/login"), requested_part],
        [None, FROM_100, FROM_100],
    ),
    "no response": ([cut_after(100), drop, drop, requested_part], [None, FROM_100, FROM_100, FROM_100]),
    "a weak ETag": ([cut_after(100, weak), requested_part], [None, FROM_100]),
    "no ETag": ([cut_after(100, bare), requested_part], [None, FROM_100]),
    "encoded": ([zipped], [None]),
    "encoded, cut": ([cut_after(100, zipped), requested_part], [None, None]),
    "chunks": ([chunked_body(DATA[:7], DATA[7:], ETag=ETAG)], [None]),
    "chunks, cut after the last byte": (
        [cut_after(len(b"1388\r\n") + len(DATA), chunked_body(DATA, ETag=ETAG))],
        [None],
    ),
    "as long as the connection": ([until_closed()], [None]),
    "as long as the connection, cut": ([until_closed(100), requested_part], [None, FROM_100]),
}


@pytest.mark.parametrize("name", RESUMED)
def test_download_resumes_at_the_last_byte(both: ClientKind, tmp_path: Path, name: str) -> None:
    script_steps, ranges = RESUMED[name]
    old = old_file(tmp_path)
    with scripted_downloads(DATA, *script_steps) as script:
        assert download(both, script, old).read_bytes() == DATA
    assert file_names(tmp_path) == [old.name]
    assert script.ranges == ranges
    for range_, condition in zip(script.ranges, script.conditions, strict=True):
        expected = None if range_ is None or name in ("a weak ETag", "no ETag") else script.etag
        assert condition == expected


def test_without_a_digest_parts_need_a_strong_etag(both: ClientKind, tmp_path: Path) -> None:
    for response, ranges in ((whole_file, [None, FROM_100]), (weak, [None, None]), (bare, [None, None])):
        with scripted_downloads(DATA, cut_after(100, response), response, sha256=None) as script:
            assert download(both, script, tmp_path / "x").read_bytes() == DATA
        assert script.ranges == ranges


def test_changed_file_is_downloaded_from_the_start(both: ClientKind, tmp_path: Path) -> None:
    """Without size and digest either file is accepted."""

    def change(script: DownloadScript, request: raw_http.Request) -> list[bytes]:
        script.data = DATA[::-1] + b"more"
        return requested_part(script, request)

    with scripted_downloads(DATA, cut_after(100), change, size_bytes=0, sha256="") as script:
        assert download(both, script, tmp_path / "x").read_bytes() == DATA[::-1] + b"more"
    assert script.ranges == [None, FROM_100]


def test_download_to_memory_resumes(both: ClientKind) -> None:
    with scripted_downloads(DATA, cut_after(100), cut_after(900), giving(3), cut_after(50), requested_part) as script:
        client = both.client(script.base_url)
        artifact = attach_reader(both.call(client.get_task("task_1")), client._connection).artifacts[0]
        assert both.call(artifact.read_bytes() if both.kind == "sync" else artifact.aread_bytes()) == DATA


@pytest.mark.slow
def test_stalled_download_resumes(both: ClientKind, proxy: FaultProxy, tmp_path: Path) -> None:
    with scripted_downloads(DATA) as script:
        port = proxy.open(_address(script), Once(Stall(1000), lambda exchange: "/artifacts/" in exchange.path))
        client = both.client(port.base_url, stream_read_timeout=1.5)
        place = both.call(client.download_artifact("task_1", script.artifact, tmp_path / "x"))
    assert place.read_bytes() == DATA
    assert len(script.ranges) == 2
    assert script.ranges[1] is not None
