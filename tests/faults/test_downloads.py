"""Downloads that are cut, tampered with or given up: the file is there whole in the end, or as it was before."""

from __future__ import annotations

import gzip
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import pytest
from http_server import KEY as SERVER_KEY
from http_server import serving as embedded
from scripted_engine import ScriptedEngine
from support import raw, wire
from support.artifact_server import (
    Answer,
    Shelf,
    chunked,
    cut,
    names,
    old_file,
    part,
    partial,
    refuses,
    says,
    serving,
    untouched,
    whole,
)
from support.both import Both
from support.exchanges import Exchange, Once
from support.fault_proxy import FaultProxy
from support.faults import CutResponse, Fault, Stall, Way

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


def download(both: Both, shelf: Shelf, to: Any, **options: Any) -> Any:
    client = both.client(options.pop("base_url", shelf.base_url), max_retries=0)
    return both.call(client.download_artifact("task_1", options.pop("artifact", shelf.artifact), to, **options))


# ---- cut


@pytest.mark.parametrize("way", get_args(Way))
def test_cut_at_every_byte(both: Both, proxy: FaultProxy, tmp_path: Path, way: Way) -> None:
    old = old_file(tmp_path)
    with serving(SMALL) as shelf:
        port = proxy.open(_address(shelf))
        download(both, shelf, old, base_url=port.base_url)
        length = port.seen[-1].response_bytes
        head = length - len(SMALL)
        for at in range(head, length + 1):
            old_file(tmp_path)
            shelf.ranges.clear()
            port.plan = Once(CutResponse(at, way))
            assert download(both, shelf, old, base_url=port.base_url).read_bytes() == SMALL
            assert names(tmp_path) == [old.name]
            if way == "fin":
                # A reset may take along what was on its way.
                cut_off = [] if at == length else [None if at == head else f"bytes={at - head}-"]
                assert shelf.ranges == [None, *cut_off]
        print(f"{both.kind}, {way}: {port.counts[CutResponse(0, way).name]} cuts of {len(SMALL)} bytes")
        assert port.counts[CutResponse(0, way).name] == len(SMALL) + 1


@pytest.mark.parametrize("seed", range(3))
def test_cut_again_and_again_at_random(both: Both, proxy: FaultProxy, tmp_path: Path, seed: int) -> None:
    """The embedded server, and a proxy that lets no answer through whole until most of it has come."""
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
    assert names(place.parent) == ["x"]
    ranges = [exchange.headers.get("range") for exchange in port.seen if "/artifacts/" in exchange.path]
    assert len(ranges) >= len(LARGE) // 400_000
    assert ranges[0] is None
    print(f"{both.kind}: {len(LARGE)} bytes over {len(ranges)} connections")


def _address(shelf: Shelf) -> tuple[str, int]:
    parts = urlsplit(shelf.base_url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def short(shelf: Shelf, request: raw.Request) -> list[bytes]:
    """A server that gives parts of 1000 bytes at most, and says so (RFC 9110, 15.3.7)."""
    if "range" not in request.headers:
        return list(cut(1000)(shelf, request) or ())[:2]
    start = int(request.headers["range"].removeprefix("bytes=").rstrip("-"))
    end = min(start + 1000, len(shelf.data))
    told = {"Content_Range": f"bytes {start}-{end - 1}/{len(shelf.data)}", "ETag": shelf.etag}
    return raw.answer(206, shelf.data[start:end], **told)


def weak(shelf: Shelf, _: raw.Request) -> list[bytes]:
    return raw.answer(200, shelf.data, ETag=f"W/{shelf.etag}")


def bare(shelf: Shelf, _: raw.Request) -> list[bytes]:
    return raw.answer(200, shelf.data)


def zipped(shelf: Shelf, _: raw.Request) -> list[bytes]:
    return raw.answer(200, gzip.compress(shelf.data), ETag=shelf.etag, Content_Encoding="gzip")


def until_closed(size: int = len(DATA)) -> Answer:
    """So many bytes of a body that ends with its connection."""

    def answer(shelf: Shelf, _: raw.Request) -> Iterator[bytes]:
        head = f"HTTP/1.1 200 OK\r\nETag: {shelf.etag}\r\nConnection: close\r\n\r\n".encode()
        return raw.hanging_up([head, shelf.data[:size]])

    return answer


def giving(start: int, said: str | None = None, **headers: str) -> Answer:
    return lambda shelf, request: partial(shelf, start, said=said, **headers)


def drop(_: Shelf, __: raw.Request) -> None:
    return None


FROM_100 = "bytes=100-"
RESUMED: dict[str, tuple[list[Answer], list[str | None]]] = {
    "a part": ([cut(100), part], [None, FROM_100]),
    "part after part": ([cut(100), cut(900), cut(0), part], [None, FROM_100, "bytes=1000-", "bytes=1000-"]),
    "no Range there": ([cut(100), whole], [None, FROM_100]),
    "no Range there, cut": ([cut(100), cut(4000, whole), part], [None, FROM_100, "bytes=4000-"]),
    "short parts": ([cut(1000), short], [None, "bytes=1000-", "bytes=2000-", "bytes=3000-", "bytes=4000-"]),
    "another part": ([cut(100), giving(99), part], [None, FROM_100, None]),
    "another part, and cut": ([cut(100), giving(99), cut(200), part], [None, FROM_100, None, None]),
    "a part of it all": ([cut(100), giving(0), part], [None, FROM_100, None]),
    "a part of something else": ([cut(100), giving(100, "bytes 100-9998/9999"), part], [None, FROM_100, None]),
    "a part of nobody knows what": ([cut(100), giving(100, "bytes 100-4999/*"), part], [None, FROM_100, None]),
    "a part of words": ([cut(100), giving(100, "words 1-2/3"), part], [None, FROM_100, None]),
    "a part that is not said to be one": ([cut(100), giving(100, ""), part], [None, FROM_100, None]),
    "a part with another ETag": ([cut(100), giving(100, ETag=OTHER), part], [None, FROM_100, None]),
    "a part that is encoded": ([cut(100), giving(100, Content_Encoding="gzip"), part], [None, FROM_100, None]),
    "a part that nobody asked for": ([giving(0), part], [None, None]),
    "no such part": ([cut(100), refuses(416, "invalid_request_error"), part], [None, FROM_100, None]),
    "trouble": ([cut(100), refuses(503), refuses(500), part], [None, FROM_100, FROM_100, FROM_100]),
    "too often": ([cut(100), refuses(429, "rate_limit_error", Retry_After="0"), part], [None, FROM_100, FROM_100]),
    "a proxy's page": ([cut(100), says(502, b"<html>", Content_Type="text/html"), part], [None, FROM_100, FROM_100]),
    "a redirection": ([cut(100), says(302, Location="/login"), part], [None, FROM_100, FROM_100]),
    "no answer": ([cut(100), drop, drop, part], [None, FROM_100, FROM_100, FROM_100]),
    "a weak ETag": ([cut(100, weak), part], [None, FROM_100]),
    "no ETag": ([cut(100, bare), part], [None, FROM_100]),
    "encoded": ([zipped], [None]),
    "encoded, cut": ([cut(100, zipped), part], [None, None]),
    "chunks": ([chunked(DATA[:7], DATA[7:], ETag=ETAG)], [None]),
    "chunks, cut after the last byte": ([cut(len(b"1388\r\n") + len(DATA), chunked(DATA, ETag=ETAG))], [None]),
    "as long as the connection": ([until_closed()], [None]),
    "as long as the connection, cut": ([until_closed(100), part], [None, FROM_100]),
}


@pytest.mark.parametrize("name", RESUMED)
def test_goes_on_where_it_was(both: Both, tmp_path: Path, name: str) -> None:
    answers, ranges = RESUMED[name]
    old = old_file(tmp_path)
    with serving(DATA, *answers) as shelf:
        assert download(both, shelf, old).read_bytes() == DATA
    assert names(tmp_path) == [old.name]
    assert shelf.ranges == ranges
    for range_, condition in zip(shelf.ranges, shelf.conditions, strict=True):
        expected = None if range_ is None or name in ("a weak ETag", "no ETag") else shelf.etag
        assert condition == expected


def test_without_a_digest_only_a_strong_etag_joins_parts(both: Both, tmp_path: Path) -> None:
    for answer, ranges in ((whole, [None, FROM_100]), (weak, [None, None]), (bare, [None, None])):
        with serving(DATA, cut(100, answer), answer, sha256=None) as shelf:
            assert download(both, shelf, tmp_path / "x").read_bytes() == DATA
        assert shelf.ranges == ranges


def test_another_file_meanwhile_is_read_from_its_start(both: Both, tmp_path: Path) -> None:
    """As long as nothing is known that tells which of the two it should be."""

    def change(shelf: Shelf, request: raw.Request) -> list[bytes]:
        shelf.data = DATA[::-1] + b"more"
        return part(shelf, request)

    with serving(DATA, cut(100), change, size_bytes=0, sha256="") as shelf:
        assert download(both, shelf, tmp_path / "x").read_bytes() == DATA[::-1] + b"more"
    assert shelf.ranges == [None, FROM_100]


def test_memory_is_resumed_too(both: Both) -> None:
    with serving(DATA, cut(100), cut(900), giving(3), cut(50), part) as shelf:
        client = both.client(shelf.base_url)
        artifact = attach_reader(both.call(client.get_task("task_1")), client._connection).artifacts[0]
        assert both.call(artifact.read_bytes() if both.kind == "sync" else artifact.aread_bytes()) == DATA


def test_silence_is_a_cut(both: Both, proxy: FaultProxy, tmp_path: Path) -> None:
    with serving(DATA) as shelf:
        port = proxy.open(_address(shelf), Once(Stall(1000), lambda exchange: "/artifacts/" in exchange.path))
        client = both.client(port.base_url, stream_read_timeout=0.2)
        place = both.call(client.download_artifact("task_1", shelf.artifact, tmp_path / "x"))
    assert place.read_bytes() == DATA
    assert len(shelf.ranges) == 2
    assert shelf.ranges[1] is not None


# ---- given up

FAILING: dict[str, tuple[list[Answer], type[errors.ClaudeAPIError], int]] = {
    "not there": ([refuses(404, "not_found_error")], errors.NotFoundError, 1),
    "not there any more": ([cut(100), refuses(404, "not_found_error")], errors.NotFoundError, 2),
    "not allowed any more": ([cut(100), refuses(401, "authentication_error")], errors.AuthenticationError, 2),
    "not offered": ([cut(100), refuses(501, "not_implemented_error")], errors.NotSupportedError, 2),
    "trouble from the start": ([refuses(500)], errors.ServerError, 1),
    "no answer": ([drop], errors.APIConnectionError, 1),
    "trouble for ever": ([cut(100), refuses(503, "overloaded_error")], errors.OverloadedError, 6),
    "too often for ever": ([cut(100), refuses(429, "rate_limit_error")], errors.RateLimitError, 6),
    "asked to wait for long": ([cut(100), refuses(503, Retry_After="999")], errors.ServerError, 2),
    "cut for ever": ([cut(100), cut(0)], errors.APIConnectionError, 6),
    "cut at the same place for ever": ([cut(100, whole)], errors.APIConnectionError, 6),
    "wrong parts for ever": ([cut(100), giving(99), cut(100), giving(99)], errors.UnexpectedResponseError, 6),
    "empty parts for ever": ([cut(100), giving(5000, "bytes 100-4999/5000")], errors.ArtifactMismatchError, 6),
    "an odd status": ([says(204)], errors.UnexpectedResponseError, 1),
    "an odd status later": ([cut(100), says(202, DATA)], errors.UnexpectedResponseError, 2),
    "not what it says it is encoded as": (
        [says(200, DATA, Content_Encoding="gzip")],
        errors.UnexpectedResponseError,
        1,
    ),
    "too short": ([says(200, DATA[:-1])], errors.ArtifactMismatchError, 1),
    "too long": ([says(200, DATA + b"x")], errors.ArtifactMismatchError, 1),
    "empty": ([says(200)], errors.ArtifactMismatchError, 1),
    "a page": ([says(200, b"<html>", Content_Type="text/html")], errors.ArtifactMismatchError, 1),
    "too short in chunks": ([chunked(DATA[:-1])], errors.ArtifactMismatchError, 1),
    "too long in chunks": ([chunked(DATA, b"x")], errors.ArtifactMismatchError, 1),
    "endless": ([chunked(*[DATA] * 20)], errors.ArtifactMismatchError, 1),
    "wrong": ([says(200, DATA[::-1])], errors.ArtifactMismatchError, 1),
    "wrong in chunks": ([chunked(DATA[::-1])], errors.ArtifactMismatchError, 1),
    "wrong in part": ([cut(100, says(200, DATA[::-1])), part], errors.ArtifactMismatchError, 2),
    "another file meanwhile": ([cut(100), says(200, DATA[::-1], ETag=OTHER)], errors.ArtifactMismatchError, 2),
}


@pytest.mark.parametrize("name", FAILING)
def test_what_cannot_be_had_leaves_the_old_file(both: Both, tmp_path: Path, name: str) -> None:
    answers, expected, opened = FAILING[name]
    old = old_file(tmp_path)
    with serving(DATA, *answers) as shelf, untouched(tmp_path):
        for to in (old, f"{tmp_path}/new/er/"):
            shelf.ranges.clear()
            with pytest.raises(errors.ClaudeAPIError) as caught:
                download(both, shelf, to)
            assert type(caught.value) is expected
            assert caught.value.task_id == "task_1"
            assert len(shelf.ranges) == opened
            if opened == 6:
                assert caught.value.attempts == 6
                assert len(caught.value.history) == 6
                assert ("byte 100 of 5000" in str(caught.value)) is (name != "wrong parts for ever")


@pytest.mark.parametrize(
    ("record", "answer"),
    [
        ({"sha256": "0" * 64}, part),
        ({"sha256": "nonsense"}, part),
        ({"size_bytes": len(DATA) + 1}, part),
        ({"size_bytes": len(DATA) - 1}, chunked(DATA)),
        ({"sha256": None}, says(200, DATA, ETag=OTHER)),
        ({"sha256": "", "size_bytes": 0}, says(200, DATA, ETag=f"W/{OTHER}")),
    ],
)
def test_bytes_that_are_not_those_of_the_record(
    both: Both, tmp_path: Path, record: dict[str, Any], answer: Answer
) -> None:
    old = old_file(tmp_path)
    with (
        serving(DATA, answer, **record) as shelf,
        untouched(tmp_path),
        pytest.raises(errors.ArtifactMismatchError) as caught,
    ):
        download(both, shelf, old)
    assert isinstance(caught.value, errors.ArtifactError)


def test_what_has_no_record_is_checked_by_its_etag_and_its_length(both: Both, tmp_path: Path) -> None:
    old = old_file(tmp_path)
    nothing = {"sha256": "", "size_bytes": 0}
    for answer in (part, whole, says(200, DATA, ETag=ETAG.upper()), chunked(DATA, ETag='"v1"'), says(200, DATA)):
        old_file(tmp_path)
        with serving(DATA, answer, **nothing) as shelf:
            assert download(both, shelf, old).read_bytes() == DATA


@pytest.mark.parametrize(
    ("record", "answer", "opened"),
    [
        ({}, part, 0),
        ({"sha256": "", "size_bytes": 0}, part, 1),
        ({"sha256": "", "size_bytes": 0}, chunked(DATA[:3000], DATA[3000:]), 1),
        ({"sha256": "", "size_bytes": 0}, until_closed(), 1),
    ],
)
def test_more_than_max_bytes(both: Both, tmp_path: Path, record: dict[str, Any], answer: Answer, opened: int) -> None:
    old = old_file(tmp_path)
    with serving(DATA, answer, **record) as shelf:
        with untouched(tmp_path), pytest.raises(errors.ArtifactTooLargeError, match="max_bytes is 4999"):
            download(both, shelf, old, max_bytes=len(DATA) - 1)
        assert len(shelf.ranges) == opened
        assert download(both, shelf, old, max_bytes=len(DATA)).read_bytes() == DATA


def test_the_record_of_a_task_is_not_believed_before_it_is_seen(both: Both, tmp_path: Path) -> None:
    """An answer that is no task ends the call as any other does."""
    with raw.serve(raw.RawServer(lambda _: raw.answer(200, wire.task(artifacts=[{"id": 7, "path": "x"}])))) as server:
        client = both.client(server.base_url)
        with untouched(tmp_path), pytest.raises(errors.UnexpectedResponseError):
            both.call(client.download_artifact("task_1", "art_1", tmp_path))
