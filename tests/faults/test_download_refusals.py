"""Downloads that are given up, or bring other bytes than those of the artifact: the old file stays as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.files import assert_untouched, old_file
from support.servers import raw_http, responses
from support.servers.scripted_downloads import (
    DATA,
    ETAG,
    OTHER,
    DownloadResponse,
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

from claude_code_client import errors


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claude_code_client._policy.reconnect.BASE_DELAY", 0.0)


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
