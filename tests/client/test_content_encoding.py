"""Compressed responses: decoded if the client asked for it, and never beyond a limit."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from claude_code_api.api.tasks import get_task
from support.clients.client_kinds import ClientKind
from support.servers import raw_http, responses

from claude_code_client.errors import (
    ArtifactError,
    ClaudeAPIError,
    ConfigurationError,
    ServerError,
    StreamInterruptedError,
    UnexpectedResponseError,
)


def bomb() -> bytes:
    """Return the start of a gzip stream of 64 MiB. Its blocks are independent, so that one is enough."""
    compressor = zlib.compressobj(1, wbits=16 + zlib.MAX_WBITS)
    header, block = (compressor.compress(b" " * (1 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return header + 63 * block


BOMB = bomb()
TASK = json.dumps(responses.task()).encode()
MEMORY = 16 << 20

CALLS: dict[str, Callable[[ClientKind, Any, Path], Any]] = {
    "get_task": lambda _, client, __: client.get_task("task_1"),
    "complete": lambda _, client, __: client.complete("x"),
    "execute_task": lambda _, client, __: client.execute_task("x"),
    "list_tasks": lambda both, client, _: list(both.each(client.list_tasks())),
    "client.api": lambda both, client, _: both.endpoint(get_task)("task_1", client=client.api),
    "stream_events": lambda both, client, _: list(both.each(client.stream_events("task_1"))),
    "stream_complete": lambda both, client, _: list(both.each(client.stream_complete("x"))),
    "download": lambda _, client, path: client.download_artifact("task_1", "artifact_1", path),
}


def outcome(both: ClientKind, call: Callable[[], Any]) -> Any:
    try:
        return both.call(call())
    except ClaudeAPIError as error:
        return error


@pytest.mark.usefixtures("short_backoff")
@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("name", CALLS)
def test_decompression_bomb(both: ClientKind, name: str, status: int, tmp_path: Path) -> None:
    answer = raw_http.response(status, BOMB, Content_Encoding="gzip")
    with raw_http.serve(raw_http.SocketServer(lambda _: answer)) as server:
        client = both.client(server.base_url, max_retries=0, timeout=10, max_response_bytes=1 << 20)
        tracemalloc.start()
        try:
            error = outcome(both, lambda: CALLS[name](both, client, tmp_path / "file"))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        both.call(client.close())
    assert peak < MEMORY
    assert isinstance(error, UnexpectedResponseError | StreamInterruptedError | ArtifactError | ServerError), error
    if name in ("get_task", "complete", "client.api"):
        assert "max_response_bytes" in str(error)
        assert len(server.requests) == 1


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "GZIP, deflate"])
def test_codings_that_were_not_asked_for(both: ClientKind, coding: str) -> None:
    answer = raw_http.response(200, gzip.compress(gzip.compress(TASK)), Content_Encoding=coding)
    with raw_http.serve(raw_http.SocketServer(lambda _: answer)) as server:
        client = both.client(server.base_url, max_retries=0)
        error = outcome(both, lambda: client.get_task("task_1"))
        both.call(client.close())
    assert isinstance(error, UnexpectedResponseError)
    assert "not asked for" in str(error)
    assert server.requests[0].headers["accept-encoding"] == "gzip, deflate"


def test_errors_in_other_codings_keep_their_status(both: ClientKind) -> None:
    answer = raw_http.response(502, b"\x1b\x03", Content_Encoding="br")
    with raw_http.serve(raw_http.SocketServer(lambda _: answer)) as server:
        client = both.client(server.base_url, max_retries=0)
        error = outcome(both, lambda: client.get_task("task_1"))
        both.call(client.close())
    assert isinstance(error, ServerError)
    assert error.status_code == 502


def _raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


BODIES = {
    "gzip": ("gzip", gzip.compress(TASK)),
    "two members": ("gzip", gzip.compress(TASK[:40]) + gzip.compress(TASK[40:])),
    "deflate": ("deflate", zlib.compress(TASK)),
    "raw deflate": ("deflate", _raw_deflate(TASK)),
    "none": ("identity", TASK),
    "large": ("gzip", gzip.compress(TASK + b" " * (1 << 20))),
}


@pytest.mark.parametrize("name", BODIES)
def test_codings_that_were_asked_for(both: ClientKind, name: str) -> None:
    coding, body = BODIES[name]

    def drip(_: raw_http.Request) -> Any:
        [whole] = raw_http.response(200, body, Content_Encoding=coding)
        return [whole[at : at + 97] for at in range(0, len(whole), 97)]

    with raw_http.serve(raw_http.SocketServer(drip)) as server:
        client = both.client(server.base_url, max_retries=0)
        assert both.call(client.get_task("task_1")).id == "task_1"
        both.call(client.close())


@pytest.mark.parametrize(
    "body", [gzip.compress(TASK)[:-12], gzip.compress(TASK) + b"x", b"x" * 30], ids=["cut", "longer", "other"]
)
def test_broken_compression(both: ClientKind, body: bytes) -> None:
    with raw_http.serve(
        raw_http.SocketServer(lambda _: raw_http.response(200, body, Content_Encoding="gzip"))
    ) as server:
        client = both.client(server.base_url, max_retries=0)
        assert isinstance(outcome(both, lambda: client.get_task("task_1")), UnexpectedResponseError)
        both.call(client.close())


def test_large_plain_bodies(both: ClientKind) -> None:
    body = TASK + b" " * 5000
    with raw_http.serve(raw_http.SocketServer(lambda _: raw_http.response(200, body))) as server:
        client = both.client(server.base_url, max_retries=0, max_response_bytes=4000)
        error = outcome(both, lambda: client.get_task("task_1"))
        assert "larger than 4000 bytes" in str(error)
        wider = client.with_options(max_response_bytes=len(body))
        assert both.call(wider.get_task("task_1")).id == "task_1"
        both.call(client.close())


@pytest.mark.parametrize("value", [0, -1, 1.5, "1", True])
def test_invalid_limits(both: ClientKind, value: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_response_bytes"):
        both.client("http://127.0.0.1:9/v1", max_response_bytes=value)
