"""Completions that the upstream charges for are delivered, or charged; the client never buys one twice by itself."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clients.client_kinds import KEY, ClientKind
from support.clients.socket_followers import on_loop
from support.processes import eventually
from support.servers.embedded_server import Running, serving
from support.servers.messages_endpoint import (
    Cut,
    Disconnect,
    ErrorEvent,
    Failure,
    Reply,
    ScriptedMessages,
    message,
)
from support.servers.scripted_engine import ScriptedEngine

from claude_code_client.errors import ClaudeAPIError, ServerError

PAID = message("Paid.", input_tokens=1000, output_tokens=100)
COST = (1000 * 2 + 100 * 10) / 1e6
MAX_TOKENS = 500
ODD = {"type": "message", "content": {"text": "Paid."}, "usage": {"input_tokens": 1000, "output_tokens": 100}}


@contextlib.contextmanager
def served(folder: Path, *script: Reply) -> Iterator[tuple[Running, ScriptedMessages]]:
    with (
        ScriptedMessages(script) as endpoint,
        serving(folder, ScriptedEngine(), api_keys=(KEY,), upstream=endpoint.url, model="sonnet") as server,
    ):
        yield server, endpoint


def refuse_writes(server: Running, refused: bool) -> None:
    """Make every write to the database fail, or succeed again."""

    async def execute() -> None:
        server.services.store._db.execute(f"PRAGMA query_only = {refused}")

    on_loop(server, execute)


@pytest.mark.parametrize("stream", [False, True])
def test_a_paid_reply_is_delivered_though_it_cannot_be_stored(both: ClientKind, tmp_path: Path, stream: bool) -> None:
    with served(tmp_path) as (server, endpoint):
        client = both.client(server.base_url)

        def fill_disk(_: object) -> Reply:
            refuse_writes(server, True)
            return PAID

        def complete() -> str:
            if stream:
                return str(list(both.each(client.stream_complete("Hi", idempotency_key="k")))[-1].content)
            return str(both.call(client.complete("Hi", idempotency_key="k")).content)

        endpoint.reply = fill_disk
        assert complete() == "Paid."
        assert complete() == "Paid.", "the reply is kept in memory"
        refuse_writes(server, False)
        assert both.call(client.get_usage()).usage.cost == pytest.approx(COST), "and stored with its usage later"
        assert complete() == "Paid."
        assert both.call(client.get_usage()).usage.cost == pytest.approx(COST)
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_is_bought_that_cannot_be_stored(both: ClientKind, tmp_path: Path, stream: bool) -> None:
    with served(tmp_path, PAID) as (server, endpoint):
        client = both.client(server.base_url, max_retries=0)

        def complete() -> None:
            list(both.each(client.stream_complete("Hi"))) if stream else both.call(client.complete("Hi"))

        refuse_writes(server, True)
        with pytest.raises(ServerError) as completion:
            complete()
        with pytest.raises(ServerError) as task:
            both.call(client.submit_task("Work."))
        for caught in (completion, task):
            assert (caught.value.status_code, caught.value.error_type) == (503, "overloaded_error")
            assert caught.value.retry_after == 5
            assert "starts no new work" in str(caught.value)
        assert endpoint.requests == []
        refuse_writes(server, False)
        complete()
        assert both.call(client.get_usage()).usage.cost == pytest.approx(COST)


BROKEN: dict[str, Reply] = {
    "no response": Disconnect(),
    "half a response": Failure(200, body=json.dumps(PAID).encode()[:60]),
    "cut off": Cut(PAID, after=0),
    "HTML": Failure(200, body=b"<html>hi</html>"),
    "an odd shape": Failure(200, body=json.dumps(ODD).encode()),
    "deep nesting": Failure(200, body=b"[" * 100_000),
    "a gateway's 502": Failure(502, body=b"<html>bad gateway</html>"),
    "a gateway's 504": Failure(504, body=b""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_lost_reply_is_bought_once_and_charged(both: ClientKind, tmp_path: Path, name: str) -> None:
    with served(tmp_path, *[BROKEN[name]] * 4) as (server, endpoint):
        client = both.client(server.base_url)
        with client.budget(usd=1) as budget:
            with pytest.raises(ServerError) as caught:
                both.call(client.complete("Hi", max_tokens=MAX_TOKENS))
            assert caught.value.outcome_unknown
            assert budget.reserved > 0, "the client does not know what it cost"
        usage = both.call(client.get_usage()).usage
    assert len(endpoint.requests) == 1
    known = name == "an odd shape"
    assert usage.cost == pytest.approx(COST) if known else MAX_TOKENS * 10e-6 < usage.cost < 0.01


@pytest.mark.parametrize(
    "reply", [Cut(PAID, after=3), Cut(PAID, after=3, tidy=True), ErrorEvent(PAID, 3, "overloaded_error", "busy")]
)
def test_a_stream_that_fails_after_text_is_charged(both: ClientKind, tmp_path: Path, reply: Reply) -> None:
    with served(tmp_path, *[reply] * 4) as (server, endpoint):
        client = both.client(server.base_url)
        with client.budget(usd=1) as budget:
            with pytest.raises(ClaudeAPIError):
                list(both.each(client.stream_complete("Hi", max_tokens=MAX_TOKENS)))
            assert budget.reserved > 0
        usage = both.call(client.get_usage()).usage
    assert len(endpoint.requests) == 1
    assert usage.cost == pytest.approx((1000 * 2 + MAX_TOKENS * 10) / 1e6)


def test_a_stream_that_its_caller_leaves_is_charged(both: ClientKind, tmp_path: Path) -> None:
    with served(tmp_path, Cut(message("word " * 50_000), after=4)) as (server, _):
        client = both.client(server.base_url)
        for _ in both.each(client.stream_complete("Hi", max_tokens=MAX_TOKENS)):
            break
        eventually(lambda: both.call(client.get_usage()).usage.cost > 0)


@pytest.mark.usefixtures("short_backoff")
@pytest.mark.parametrize("stream", [False, True])
def test_a_refused_request_is_repeated_and_costs_nothing(both: ClientKind, tmp_path: Path, stream: bool) -> None:
    busy = Failure(529, "overloaded_error", "busy")
    with served(tmp_path, busy, Failure(500, "api_error", "oops"), PAID) as (server, endpoint):
        client = both.client(server.base_url)
        if stream:
            list(both.each(client.stream_complete("Hi")))
        else:
            both.call(client.complete("Hi"))
        assert both.call(client.get_usage()).usage.cost == pytest.approx(COST)
    assert len(endpoint.requests) == 3
