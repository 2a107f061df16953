"""Downloads that are cut, altered or given up: the file is complete, or as it was before."""

from __future__ import annotations

import gzip
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import pytest
from support.clients.client_kinds import ClientKind
from support.fault_proxy.exchange import Exchange, Once
from support.fault_proxy.faults import CutResponse, Fault, Stall, Way
from support.fault_proxy.proxy import FaultProxy
from support.files import assert_untouched, file_names, old_file
from support.servers import raw_http, responses
from support.servers.embedded_server import KEY as SERVER_KEY
from support.servers.embedded_server import serving as embedded
from support.servers.scripted_downloads import (
    DownloadResponse,
    DownloadScript,
    chunked_body,
    cut_after,
    partial_response,
    requested_part,
    respond_with,
    respond_with_error,
    scripted_downloads,
    whole_file,
)
from support.servers.scripted_engine import ScriptedEngine

from claude_code_client import errors
from claude_code_client._client.artifact_reader import attach_reader
from claude_code_server.domain.engine_protocol import Outcome
from claude_code_server.domain.entities import ArtifactFile
from claude_code_server.domain.usage import Usage

DATA = random.Random(5).randbytes(5000)
SMALL = DATA[:97]
LARGE = DATA * 700  # 3.5 MB, several blocks
ETAG = f'"{hashlib.sha256(DATA).hexdigest()}"'
OTHER = f'"{"0" * 64}"'


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claude_code_client._policy.reconnect.BASE_DELAY", 0.0)


def download(both: ClientKind, script: DownloadScript, to: Any, **options: Any) -> Any:
    client = both.client(options.pop("base_url", script.base_url), max_retries=0)
    return both.call(client.download_artifact("task_1", options.pop("artifact", script.artifact), to, **options))


# ---- cut


@pytest.mark.slow
@pytest.mark.parametrize("way", get_args(Way))
def test_cut_at_every_byte(both: ClientKind, proxy: FaultProxy, tmp_path: Path, way: Way) -> None:
    old = old_file(tmp_path)
    with scripted_downloads(SMALL) as script:
        port = proxy.open(_address(script))
        download(both, script, old, base_url=port.base_url)
        length = port.seen[-1].response_bytes
        head = length - len(SMALL)
        for at in range(head, length + 1):
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
        assert port.counts[CutResponse(0, way).name] == len(SMALL) + 1


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


def until_closed(size: int = len(DATA)) -> DownloadResponse:
    """Send the first bytes of a body that ends with its connection."""

    def respond(script: DownloadScript, _: raw_http.Request) -> Iterator[bytes]:
        head = f"HTTP/1.1 200 OK\r\nETag: {script.etag}\r\nConnection: close\r\n\r\n".encode()
        return raw_http.then_hang_up([head, script.data[:size]])

    return respond


def giving(start: int, said: str | None = None, **headers: str) -> DownloadResponse:
    return lambda script, request: partial_response(script, start, content_range=said, **headers)


def drop(_: DownloadScript, __: raw_http.Request) -> None:
    return None


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


def test_stalled_download_resumes(both: ClientKind, proxy: FaultProxy, tmp_path: Path) -> None:
    with scripted_downloads(DATA) as script:
        port = proxy.open(_address(script), Once(Stall(1000), lambda exchange: "/artifacts/" in exchange.path))
        client = both.client(port.base_url, stream_read_timeout=0.2)
        place = both.call(client.download_artifact("task_1", script.artifact, tmp_path / "x"))
    assert place.read_bytes() == DATA
    assert len(script.ranges) == 2
    assert script.ranges[1] is not None


# ---- given up

FAILING: dict[str, tuple[list[DownloadResponse], type[errors.ClaudeAPIError], int]] = {
    "not there": ([respond_with_error(404, "not_found_error")], errors.NotFoundError, 1),
    "not there any more": ([cut_after(100), respond_with_error(404, "not_found_error")], errors.NotFoundError, 2),
    "not allowed any more": (
        [cut_after(100), respond_with_error(401, "authentication_error")],
        errors.AuthenticationError,
        2,
    ),
    "not offered": ([cut_after(100), respond_with_error(501, "not_implemented_error")], errors.NotSupportedError, 2),
    "trouble from the start": ([respond_with_error(500)], errors.ServerError, 1),
    "no response": ([drop], errors.APIConnectionError, 1),
    "trouble for ever": ([cut_after(100), respond_with_error(503, "overloaded_error")], errors.OverloadedError, 6),
    "too often for ever": ([cut_after(100), respond_with_error(429, "rate_limit_error")], errors.RateLimitError, 6),
    "a long Retry-After": ([cut_after(100), respond_with_error(503, Retry_After="999")], errors.ServerError, 2),
    "cut for ever": ([cut_after(100), cut_after(0)], errors.APIConnectionError, 6),
    "cut at the same place for ever": ([cut_after(100, whole_file)], errors.APIConnectionError, 6),
    "wrong parts for ever": (
        [cut_after(100), giving(99), cut_after(100), giving(99)],
        errors.UnexpectedResponseError,
        6,
    ),
    "empty parts for ever": ([cut_after(100), giving(5000, "bytes 100-4999/5000")], errors.ArtifactMismatchError, 6),
    "an odd status": ([respond_with(204)], errors.UnexpectedResponseError, 1),
    "an odd status later": ([cut_after(100), respond_with(202, DATA)], errors.UnexpectedResponseError, 2),
    "not what it says it is encoded as": (
        [respond_with(200, DATA, Content_Encoding="gzip")],
        errors.UnexpectedResponseError,
        1,
    ),
    "too short": ([respond_with(200, DATA[:-1])], errors.ArtifactMismatchError, 1),
    "too long": ([respond_with(200, DATA + b"x")], errors.ArtifactMismatchError, 1),
    "empty": ([respond_with(200)], errors.ArtifactMismatchError, 1),
    "a page": ([respond_with(200, b"<html>", Content_Type="text/html")], errors.ArtifactMismatchError, 1),
    "too short in chunks": ([chunked_body(DATA[:-1])], errors.ArtifactMismatchError, 1),
    "too long in chunks": ([chunked_body(DATA, b"x")], errors.ArtifactMismatchError, 1),
    "endless": ([chunked_body(*[DATA] * 20)], errors.ArtifactMismatchError, 1),
    "wrong": ([respond_with(200, DATA[::-1])], errors.ArtifactMismatchError, 1),
    "wrong in chunks": ([chunked_body(DATA[::-1])], errors.ArtifactMismatchError, 1),
    "wrong in part": ([cut_after(100, respond_with(200, DATA[::-1])), requested_part], errors.ArtifactMismatchError, 2),
    "another file meanwhile": (
        [cut_after(100), respond_with(200, DATA[::-1], ETag=OTHER)],
        errors.ArtifactMismatchError,
        2,
    ),
}


@pytest.mark.parametrize("name", FAILING)
def test_failed_download_keeps_the_old_file(both: ClientKind, tmp_path: Path, name: str) -> None:
    script_steps, expected, opened = FAILING[name]
    old = old_file(tmp_path)
    with scripted_downloads(DATA, *script_steps) as script, assert_untouched(tmp_path):
        for to in (old, f"{tmp_path}/new/er/"):
            script.ranges.clear()
            with pytest.raises(errors.ClaudeAPIError) as caught:
                download(both, script, to)
            assert type(caught.value) is expected
            assert caught.value.task_id == "task_1"
            assert len(script.ranges) == opened
            if opened == 6:
                assert caught.value.attempts == 6
                assert len(caught.value.history) == 6
                assert ("byte 100 of 5000" in str(caught.value)) is (name != "wrong parts for ever")


@pytest.mark.parametrize(
    ("record", "response"),
    [
        ({"sha256": "0" * 64}, requested_part),
        ({"sha256": "nonsense"}, requested_part),
        ({"size_bytes": len(DATA) + 1}, requested_part),
        ({"size_bytes": len(DATA) - 1}, chunked_body(DATA)),
        ({"sha256": None}, respond_with(200, DATA, ETag=OTHER)),
        ({"sha256": "", "size_bytes": 0}, respond_with(200, DATA, ETag=f"W/{OTHER}")),
    ],
)
def test_content_that_does_not_match_the_record(
    both: ClientKind, tmp_path: Path, record: dict[str, Any], response: DownloadResponse
) -> None:
    old = old_file(tmp_path)
    with (
        scripted_downloads(DATA, response, **record) as script,
        assert_untouched(tmp_path),
        pytest.raises(errors.ArtifactMismatchError) as caught,
    ):
        download(both, script, old)
    assert isinstance(caught.value, errors.ArtifactError)


def test_without_a_record_etag_and_length_are_verified(both: ClientKind, tmp_path: Path) -> None:
    old = old_file(tmp_path)
    nothing = {"sha256": "", "size_bytes": 0}
    for response in (
        requested_part,
        whole_file,
        respond_with(200, DATA, ETag=ETAG.upper()),
        chunked_body(DATA, ETag='"v1"'),
        respond_with(200, DATA),
    ):
        old_file(tmp_path)
        with scripted_downloads(DATA, response, **nothing) as script:
            assert download(both, script, old).read_bytes() == DATA


@pytest.mark.parametrize(
    ("record", "response", "opened"),
    [
        ({}, requested_part, 0),
        ({"sha256": "", "size_bytes": 0}, requested_part, 1),
        ({"sha256": "", "size_bytes": 0}, chunked_body(DATA[:3000], DATA[3000:]), 1),
        ({"sha256": "", "size_bytes": 0}, until_closed(), 1),
    ],
)
def test_max_bytes_exceeded(
    both: ClientKind, tmp_path: Path, record: dict[str, Any], response: DownloadResponse, opened: int
) -> None:
    old = old_file(tmp_path)
    with scripted_downloads(DATA, response, **record) as script:
        with assert_untouched(tmp_path), pytest.raises(errors.ArtifactTooLargeError, match="max_bytes is 4999"):
            download(both, script, old, max_bytes=len(DATA) - 1)
        assert len(script.ranges) == opened
        assert download(both, script, old, max_bytes=len(DATA)).read_bytes() == DATA


def test_malformed_artifact_record_raises(both: ClientKind, tmp_path: Path) -> None:
    """A malformed task ends the call like any other unexpected response."""
    with raw_http.serve(
        raw_http.SocketServer(lambda _: raw_http.response(200, responses.task(artifacts=[{"id": 7, "path": "x"}])))
    ) as server:
        client = both.client(server.base_url)
        with assert_untouched(tmp_path), pytest.raises(errors.UnexpectedResponseError):
            both.call(client.download_artifact("task_1", "art_1", tmp_path))
