"""Streams over TLS are interrupted and resumed like others."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clients.client_kinds import KEY, ClientKind
from support.servers import raw_http, responses
from support.servers.scripted_stream import StreamScript, send_then_cut, send_then_end, send_then_stall, thinking_events
from support.servers.trusted_tls import trusted_tls
from support.stalls import in_time

from claude_code_client import ClaudeClient, ClosedError


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """TLS context of a server that clients trust."""
    with trusted_tls("127.0.0.1", tmp_path, monkeypatch) as context:
        yield context


def test_cut_stream_resumes_over_tls(both: ClientKind, tls: ssl.SSLContext) -> None:
    script = StreamScript(
        [send_then_cut(thinking_events(1, 2)), send_then_end(thinking_events(3) + responses.result_event(4))]
    )
    with raw_http.serve(raw_http.SocketServer(script, tls)) as server:
        assert len(list(both.each(both.client(server.base_url).stream_task("x")))) == 4
    assert script.after == [0, 2]


def test_closing_interrupts_a_reading_thread(tls: ssl.SSLContext) -> None:
    over, seen, ended = threading.Event(), threading.Event(), threading.Event()
    script = StreamScript([send_then_stall(thinking_events(1), until=over)])
    with (
        raw_http.serve(raw_http.SocketServer(script, tls)) as server,
        ClaudeClient(KEY, server.base_url) as client,
    ):
        stream = client.stream_task("x")

        def read() -> None:
            try:
                for _ in stream:
                    seen.set()
            except ClosedError:
                ended.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert seen.wait(raw_http.TIMEOUT)
        time.sleep(0.05)  # until the thread is blocked, which nothing tells
        with in_time(0):
            stream.close()
            reader.join(raw_http.TIMEOUT)
        assert ended.is_set()
        server.wait_until(lambda: script.cancels == 1)
        over.set()
