"""Exchanges of HTTP/1.1 in forms that servers and proxies may choose, and in forms that are none."""

from __future__ import annotations

import json

import pytest
from support.clients.client_kinds import ClientKind
from support.servers import raw_http, responses

from claude_code_client.errors import APIConnectionError, StreamInterruptedError

TASK = json.dumps(responses.task()).encode()
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(TASK), TASK)

FORMS: dict[str, tuple[list[bytes], int]] = {
    "100 and 103 before it": ([b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n" + WHOLE], 1),
    "100 on its own": ([b"HTTP/1.1 100 Continue\r\n\r\n", WHOLE], 1),
    "byte by byte": ([WHOLE[at : at + 1] for at in range(len(WHOLE))], 1),
    "chunks with extension and trailer": (
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x;a=b\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n"
            % (len(TASK), TASK)
        ],
        1,
    ),
    "closed by the server": ([WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)], 2),
    "HTTP/1.0": ([WHOLE.replace(b"/1.1", b"/1.0", 1)], 2),
}
"""Response in pieces, and the connections that two calls take."""


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_responses(both: ClientKind, form: str) -> None:
    pieces, connections = FORMS[form]
    with raw_http.serve(raw_http.SocketServer(lambda _: pieces)) as server:
        client = both.client(server.base_url, max_retries=0)
        for _ in range(2):
            assert both.call(client.get_task("task_1")).id == "task_1"
        assert server.connections == connections


NOT_HTTP: dict[str, bytes] = {
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length that is no number": b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n{}",
    "chunk of no size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n{}\r\n",
    "other protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\nX-Filler: " + b"x" * 200_000,
    "space before a colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n{}",
}


@pytest.mark.parametrize("name", NOT_HTTP)
def test_what_is_not_http_is_an_error(both: ClientKind, name: str) -> None:
    with raw_http.serve(raw_http.SocketServer(lambda _: [NOT_HTTP[name]])) as server:
        client = both.client(server.base_url, max_retries=0)
        for _ in range(2):
            with pytest.raises(APIConnectionError, match="was cut before the response was complete"):
                both.call(client.get_task("task_1"))
        assert server.connections == 2


def test_what_came_before_a_broken_chunk_is_read(both: ClientKind) -> None:
    """It arrives together with what is broken, and is text that the caller has paid for."""
    event = b'data: {"type": "text_delta", "text": "Hi"}\n\n'
    pieces = [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"%x\r\n%s\r\nbroken\r\n" % (len(event), event)
    ]
    with raw_http.serve(raw_http.SocketServer(lambda _: pieces)) as server:
        client = both.client(server.base_url, max_retries=0)
        stream = iter(both.each(client.stream_complete("x")))
        assert next(stream) == "Hi"
        with pytest.raises(StreamInterruptedError):
            next(stream)
