"""Upstreams: the Messages API over HTTP, and its event stream."""

import asyncio
import logging
import pickle
import socket
import traceback
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.servers.messages_endpoint import (
    Cut,
    Disconnect,
    ErrorEvent,
    Failure,
    Hang,
    Reply,
    ScriptedMessages,
    Whole,
    message,
    thinking,
    tool,
)

from claude_code_common.loopback import is_loopback
from claude_code_server.upstream.factory import open_upstream
from claude_code_server.upstream.messages_stream import MessagesEvent, decode_events, encode_event, message_events
from claude_code_server.upstream.protocol import UpstreamError

KEY = "sk-real-key-canary"
REQUEST: dict[str, Any] = {
    "model": "claude-haiku-5-5",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": "hi"}],
}


def complete(url: str, key: str | None = KEY, **options: Any) -> dict[str, Any]:
    async def once() -> dict[str, Any]:
        source = open_upstream(url, key)
        try:
            return await source.complete(REQUEST, **options)
        finally:
            await source.aclose()

    return asyncio.run(once())


def stream(url: str, received: list[MessagesEvent] | None = None) -> list[MessagesEvent]:
    events = [] if received is None else received

    async def once() -> None:
        source = open_upstream(url, KEY)
        try:
            async for event in source.stream(REQUEST):
                events.append(event)
        finally:
            await source.aclose()

    asyncio.run(once())
    return events


def joined(events: list[MessagesEvent]) -> str:
    return "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def test_a_response_is_returned_unchanged() -> None:
    with ScriptedMessages([message("hello")]) as endpoint:
        body = complete(endpoint.url, beta="some-beta")
    assert body["content"] == [{"type": "text", "text": "hello"}]
    (requested,) = endpoint.requests
    assert requested.path == "/v1/messages"
    assert requested.body == {**REQUEST, "stream": False}
    assert requested.headers["x-api-key"] == KEY
    assert requested.headers["anthropic-version"] == "2023-06-01"
    assert requested.headers["anthropic-beta"] == "some-beta"


def test_a_url_may_end_in_v1_and_needs_no_key() -> None:
    with ScriptedMessages([message("hello")]) as endpoint:
        complete(f"{endpoint.url}/v1/", None)
    assert endpoint.requests[0].path == "/v1/messages"
    assert "x-api-key" not in endpoint.requests[0].headers


# Characters that some line splitters treat as the end of a line.
@pytest.mark.parametrize("text", ["hello", "a\u2028b\u0085c\x1dd\r\ne", "déjà vu 🙂", ""])
def test_a_stream_carries_any_text(text: str) -> None:
    with ScriptedMessages([message(text)]) as endpoint:
        events = stream(endpoint.url)
    assert joined(events) == text
    assert [events[0]["type"], events[-1]["type"]] == ["message_start", "message_stop"]
    assert endpoint.requests[0].body["stream"] is True


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_events_are_decoded_from_chunks_of_any_size(size: int) -> None:
    whole = message(thinking("hm é"), "text", tool("Read", file_path="ä"))
    raw = b": comment\r\n\r\n" + b"".join(map(encode_event, message_events(whole)))

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(raw), size):
            yield raw[start : start + size]

    async def decoded() -> list[MessagesEvent]:
        return [event async for event in decode_events(chunks())]

    assert asyncio.run(decoded()) == list(message_events(whole))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Failure(401, "authentication_error", "bad key"), (401, "authentication_error", "bad key", None)),
        (
            Failure(429, "rate_limit_error", "slow", {"retry-after": "7"}),
            (429, "rate_limit_error", "slow", 7.0),
        ),
        (
            Failure(529, "overloaded_error", "busy", {"retry-after": "soon"}),
            (529, "overloaded_error", "busy", None),
        ),
        (Failure(503, body=b"<html>no</html>"), (503, "overloaded_error", "status 503", None)),
        (Failure(502, body=b""), (502, "api_error", "status 502", None)),
        (Failure(404, body=b'{"error": "gone"}'), (404, "not_found_error", "status 404", None)),
        (Failure(307, body=b"", headers={"location": "/"}), (307, "api_error", "status 307", None)),
        (Failure(200, body=b"<html>hi</html>"), (502, "api_error", "something other than a JSON object", None)),
        (Failure(200, body=b"[]"), (502, "api_error", "something other than a JSON object", None)),
    ],
)
def test_errors_are_typed(reply: Failure, expected: tuple[int, str, str, float | None]) -> None:
    with ScriptedMessages([reply]) as endpoint, pytest.raises(UpstreamError) as caught:
        complete(endpoint.url)
    error = caught.value
    assert (error.status, error.type, error.retry_after) == (expected[0], expected[1], expected[3])
    assert expected[2] in str(error)


@pytest.mark.parametrize(
    ("reply", "status", "type", "text", "count"),
    [
        (Failure(429, "rate_limit_error", "slow"), 429, "rate_limit_error", "slow", 0),
        (Cut(message("hello"), 3), 502, "api_error", "no response from", 3),
        (Cut(message("hello"), 3, tidy=True), 502, "api_error", "before the message was complete", 3),
        (ErrorEvent(message("hello"), 2, "overloaded_error", "busy"), 529, "overloaded_error", "busy", 2),
        (ErrorEvent(message("hello"), 2, "api_error", "oops"), 500, "api_error", "oops", 2),
        (Failure(200, body=b"<html>hi</html>"), 502, "api_error", "other than a stream or a message", 0),
        (
            Whole({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}),
            529,
            "overloaded_error",
            "busy",
            0,
        ),
        (Whole({"type": "message", "content": [{}, 1]}), 502, "api_error", "other than a stream or a message", 0),
        (Whole({"id": "a"}), 502, "api_error", "other than a stream or a message", 0),
        (Whole({"content": [{"type": "text"}]}), 502, "api_error", "other than a stream or a message", 0),
    ],
)
def test_a_broken_stream_is_an_error(reply: Reply, status: int, type: str, text: str, count: int) -> None:
    received: list[MessagesEvent] = []
    with ScriptedMessages([reply]) as endpoint, pytest.raises(UpstreamError, match=text) as caught:
        stream(endpoint.url, received)
    assert (caught.value.status, caught.value.type) == (status, type)
    assert len(received) == count


@pytest.mark.parametrize(
    ("reply", "may_be_billed"),
    [
        (Failure(500, "api_error", "oops"), False),
        (Failure(529, "overloaded_error", "busy"), False),
        (Failure(503, body=b"<html>"), False),
        (Failure(502, "api_error", "oops"), False),
        (Failure(502, body=b"<html>"), True),
        (Failure(200, body=b"<html>"), True),
        (Disconnect(), True),
        (Cut(message("hello"), 0), True),
        (Cut(message("hello"), 3), True),
        (ErrorEvent(message("hello"), 0, "overloaded_error", "busy"), False),
        (ErrorEvent(message("hello"), 2, "overloaded_error", "busy"), True),
    ],
)
def test_an_error_tells_whether_the_upstream_may_charge(reply: Reply, may_be_billed: bool) -> None:
    with ScriptedMessages([reply]) as endpoint, pytest.raises(UpstreamError) as caught:
        stream(endpoint.url)
    assert caught.value.may_be_billed is may_be_billed


def test_an_unreachable_upstream_is_an_error_with_its_url() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(UpstreamError, match=url) as caught:
        complete(url)
    assert caught.value.status == 502
    assert not caught.value.may_be_billed


@pytest.mark.parametrize(
    ("type", "expected"),
    [
        ("overloaded_error", "overloaded_error"),
        ("api_error", "server_error"),
        ("billing_error", "server_error"),
        ("timeout_error", "server_error"),
        ("brand_new_error", "server_error"),
    ],
)
def test_error_types_map_to_those_of_the_contract(type: str, expected: str) -> None:
    error = UpstreamError(500, type, "text", 2.0)
    assert error.contract_type == expected
    again = pickle.loads(pickle.dumps(error))
    assert (again.status, again.type, again.message, again.retry_after) == (500, type, "text", 2.0)


def test_the_key_does_not_leak(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echoing = Failure(401, "authentication_error", f"no such key: {KEY}")
    with ScriptedMessages([echoing, message("hello")]) as endpoint:
        with pytest.raises(UpstreamError) as caught:
            complete(endpoint.url)
        complete(endpoint.url)
    assert caplog.records
    texts = [caplog.text, "".join(traceback.format_exception(caught.value)), repr(open_upstream(endpoint.url, KEY))]
    assert not [text for text in texts if KEY in text]


def test_proxies_are_not_used_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = f"http://127.0.0.1:{closed_port()}"
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    with ScriptedMessages([message("hello")]) as endpoint:
        complete(endpoint.url)
        assert len(endpoint.requests) == 1
        with pytest.raises(UpstreamError):
            complete("http://models.example", None)


@pytest.mark.parametrize(
    ("spec", "key", "text"),
    [
        ("anthropic", None, "ANTHROPIC_API_KEY"),
        ("ftp://models.example", None, "http"),
        ("models.example", None, "http"),
        ("http://", None, "http"),
        ("http://user:secret@models.example", None, "user name"),
        ("http://models.example", KEY, "in clear"),
        ("https://models.example", "ab\ncd", "no header"),
    ],
)
def test_invalid_upstreams_are_rejected(spec: str, key: str | None, text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        open_upstream(spec, key)
    assert "secret" not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.9", True), ("::1", True), ("10.0.0.1", False), ("localhost.example", False)],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_cancelling_a_stream_closes_its_connection() -> None:
    async def leave(url: str) -> None:
        source = open_upstream(url)
        waiting = asyncio.ensure_future(anext(source.stream(REQUEST)))
        await asyncio.to_thread(endpoint.requested.wait)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await source.aclose()

    with ScriptedMessages([Hang()]) as endpoint:
        asyncio.run(leave(endpoint.url))
        assert endpoint.abandoned.wait(15)


def test_the_offline_upstream_needs_neither_key_nor_network() -> None:
    async def respond() -> tuple[dict[str, Any], list[MessagesEvent], int]:
        source = open_upstream("offline")
        assert source.free
        events = [event async for event in source.stream(REQUEST)]
        return await source.complete(REQUEST), events, await source.count_tokens(REQUEST)

    body, events, tokens = asyncio.run(respond())
    assert body["role"] == "assistant"
    assert joined(events) == "".join(block["text"] for block in body["content"])
    assert tokens == body["usage"]["input_tokens"] > 0
