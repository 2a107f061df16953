"""Frames that are stripped from tracebacks are logged at DEBUG, by file, line and function alone."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.servers import raw_http

from claude_code_client import errors
from claude_code_client._client import tracebacks
from claude_code_client._client.tracebacks import strip_tracebacks

KEY = "sk-proj-CANARY-key"
PROMPT = "CANARY-prompt"
MARK = "CANARY"

CALLS: dict[str, Callable[[Any], Any]] = {
    "complete": lambda client: client.complete(PROMPT),
    "stream_complete": lambda client: client.stream_complete(PROMPT),
    "execute_task": lambda client: client.execute_task(PROMPT, context={"notes": PROMPT}),
    "stream_task": lambda client: client.stream_task(PROMPT, context={"notes": PROMPT}),
}


def consume(both: ClientKind, called: Any) -> None:
    result = both.call(called)
    list(both.each(result))


def failure(both: ClientKind, call: Callable[[Any], Any]) -> errors.ClaudeAPIError:
    """The exception of a call to a server that hangs up."""
    with raw_http.serve(raw_http.SocketServer(lambda _: None)) as server:
        client = both.client(server.base_url, api_key=KEY, max_retries=0)
        with pytest.raises(errors.APIConnectionError) as caught:
            consume(both, call(client))
    return caught.value


@pytest.mark.parametrize("name", CALLS)
def test_frames_name_the_function_that_failed(both: ClientKind, caplog: pytest.LogCaptureFixture, name: str) -> None:
    caplog.set_level(logging.DEBUG)
    error = failure(both, CALLS[name])
    (record,) = [record for record in caplog.records if " raised in" in record.getMessage()]
    said = record.getMessage()
    assert said.startswith("claude_code_client.errors.APIConnectionError, raised in\n")
    assert re.search(r"\n  \S+/_transport/attempts\.py:\d+ CallAttempts\.failed\n", said)
    assert str(error) not in said
    assert MARK not in caplog.text


def test_contexts_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    def inner(secret: str) -> None:
        raise KeyError(secret)

    @strip_tracebacks
    def outer(secret: str) -> None:
        try:
            inner(secret)
        except KeyError:
            raise errors.ServerError(secret) from None

    caplog.set_level(logging.DEBUG)
    with pytest.raises(errors.ServerError) as caught:
        outer(PROMPT)
    assert caught.value.__context__ is None
    (record,) = caplog.records
    said = record.getMessage()
    assert re.search(r"ServerError, raised in\n(  .*\n)+while handling builtins\.KeyError, raised in\n", said)
    assert said.endswith(f"{__file__}:{inner.__code__.co_firstlineno + 1} {inner.__qualname__}")
    assert MARK not in caplog.text


def test_a_cycle_of_contexts_ends(caplog: pytest.LogCaptureFixture) -> None:
    first, second = errors.ServerError("a"), errors.ServerError("b")
    first.__context__, second.__context__ = second, first

    @strip_tracebacks
    def fail() -> None:
        raise first

    caplog.set_level(logging.DEBUG)
    with pytest.raises(errors.ServerError):
        fail()
    (record,) = caplog.records
    assert record.getMessage().count("raised in") == 2


def test_closing_a_stream_logs_no_frames(both: ClientKind, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    event = b'data: {"type": "text_delta", "text": "a"}\n\n'
    with raw_http.serve(raw_http.SocketServer(lambda _: raw_http.event_stream(event, event, end=False))) as server:
        for _ in both.each(both.client(server.base_url).stream_complete("x")):
            break
    assert "raised in" not in caplog.text


def test_frames_are_formatted_at_debug_only(
    both: ClientKind, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: BaseException) -> Iterator[str]:
        raise AssertionError

    monkeypatch.setattr(tracebacks, "_frames", never)
    caplog.set_level(logging.INFO)
    failure(both, CALLS["complete"])
    assert "raised in" not in caplog.text
