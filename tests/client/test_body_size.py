"""Responses that would take all memory: they end in a typed error."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.servers import raw_http

from claude_code_client._transport import bounded_body
from claude_code_client.errors import UnexpectedResponseError


def bomb(mebibytes: int) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b" " * (1 << 20)
    return b"".join([*(compressor.compress(block) for _ in range(mebibytes)), compressor.flush()])


@pytest.mark.parametrize("status", [200, 400])
def test_decompression_bomb(both: ClientKind, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr(bounded_body, "MAX_BODY_BYTES", 8 << 20)
    pieces = raw_http.response(status, bomb(16), Content_Encoding="gzip", Content_Type="application/json")
    with raw_http.serve(raw_http.SocketServer(lambda _: pieces)) as server:
        client = both.client(server.base_url, max_retries=0)
        with pytest.raises(UnexpectedResponseError, match="larger than 8 MiB"):
            both.call(client.get_task("task_1"))


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip, identity, gzip"])
def test_unrequested_encodings_of_calls(both: ClientKind, encoding: str) -> None:
    refused(both, encoding, lambda client: both.call(client.get_task("task_1")))


def test_unrequested_encodings_of_streams(both: ClientKind) -> None:
    refused(both, "br", lambda client: list(both.each(client.stream_complete("Hi"))))


def refused(both: ClientKind, encoding: str, call: Any) -> None:
    pieces = raw_http.response(200, bomb(1), Content_Encoding=encoding, Content_Type="application/json")
    with raw_http.serve(raw_http.SocketServer(lambda _: pieces)) as server:
        client = both.client(server.base_url, max_retries=0)
        with pytest.raises(UnexpectedResponseError, match="Content-Encoding"):
            call(client)
