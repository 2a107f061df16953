"""``extra_body`` and ``extra_headers``: for what the methods have no parameters for yet."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.clients.client_kinds import KEY, ClientKind
from support.servers import raw_http, responses

from claude_code_client.errors import ConfigurationError, InvalidRequestError

CALLS: dict[str, Callable[[ClientKind, Any, dict[str, Any]], Any]] = {
    "complete": lambda both, client, extras: both.call(client.complete("x", **extras)),
    "stream_complete": lambda both, client, extras: list(both.each(client.stream_complete("x", **extras))),
    "execute_task": lambda both, client, extras: both.call(client.execute_task("x", **extras)),
    "stream_task": lambda both, client, extras: list(both.each(client.stream_task("x", **extras))),
    "submit_task": lambda both, client, extras: both.call(client.submit_task("x", **extras)),
}
EXTRAS: dict[str, Any] = {
    "extra_body": {"priority": "low", "nested": {"a": [1, None]}},
    "extra_headers": {"X-Trace": "visible", "X-Team-Token": "hidden", "user-agent": "mine"},
}


def respond(request: raw_http.Request) -> Any:
    match request.path.rpartition("/")[2]:
        case "completions":
            return raw_http.response(200, responses.COMPLETION)
        case "stream":
            return raw_http.event_stream(responses.event(1, "completion", completion=responses.COMPLETION))
        case "health":
            return raw_http.response(200, responses.health())
        case "events":
            return raw_http.event_stream(responses.result_event(1))
        case _:
            return raw_http.response(202, responses.task())


@pytest.fixture
def server() -> Iterator[raw_http.SocketServer]:
    with raw_http.serve(raw_http.SocketServer(respond)) as running:
        yield running


@pytest.mark.parametrize("name", CALLS)
def test_fields_and_headers_are_sent_with_the_work(
    both: ClientKind, server: raw_http.SocketServer, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.DEBUG, "claude_code_client")
    CALLS[name](both, both.client(server.base_url, headers={"X-Trace": "replaced"}), EXTRAS)
    sent, *others = server.requests
    assert sent.method == "POST"
    body = json.loads(sent.body)
    assert {field: body[field] for field in EXTRAS["extra_body"]} == EXTRAS["extra_body"]
    assert (sent.headers["x-trace"], sent.headers["x-team-token"]) == ("visible", "hidden")
    assert sent.headers["user-agent"] == "mine"
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert all("x-team-token" not in request.headers for request in others)
    assert "hidden" not in caplog.text
    assert all(record.levelno == logging.DEBUG for record in caplog.records if "visible" in record.getMessage())


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("extras", "message"),
    [
        ({"extra_body": {"model": "m"}}, "model, which is a parameter of the call"),
        ({"extra_body": {"timeout": 1}}, "timeout, which is a parameter"),
        ({"extra_body": {"idempotency_key": "k"}}, "idempotency_key, which is a parameter"),
        ({"extra_body": {"a": {1, 2}}}, "extra_body must hold JSON types only"),
        ({"extra_body": {1: 2}}, "extra_body must have str as keys"),
        ({"extra_body": "secret"}, "extra_body must be a dict, not str"),
        *[
            ({"extra_headers": {header: "secret"}}, f"extra_headers must not contain {header}")
            for header in ("Authorization", "idempotency-key", "HOST", "Content-Length", "Transfer-Encoding", "Prefer")
        ],
        ({"extra_headers": {"X-A": "secret\r\nHost: b"}}, "extra_headers: the value of X-A must be a str"),
        ({"extra_headers": ["secret"]}, "extra_headers must be a dict"),
    ],
)
def test_what_the_client_sets_itself_is_refused(
    both: ClientKind, server: raw_http.SocketServer, name: str, extras: dict[str, Any], message: str
) -> None:
    with pytest.raises((InvalidRequestError, ConfigurationError), match=message) as caught:
        CALLS[name](both, both.client(server.base_url), extras)
    assert caught.value.param == next(iter(extras))
    assert "secret" not in str(caught.value)
    assert server.requests == []


def test_recovered_task_has_its_fields_but_the_journal_keeps_no_headers(
    both: ClientKind, server: raw_http.SocketServer, tmp_path: Path
) -> None:
    server.handle = lambda _: raw_http.response(500, responses.error("server_error"))
    client = both.client(server.base_url, journal=tmp_path / "journal", max_retries=0)
    with pytest.raises(Exception, match="server_error"):
        CALLS["submit_task"](both, client, EXTRAS)
    assert "hidden" not in (tmp_path / "journal").read_text()
    server.handle = respond
    assert len(both.call(both.client(server.base_url, journal=tmp_path / "journal").recover())) == 1
    posts = [request for request in server.requests if request.path == "/v1/task"]
    assert posts[0].body == posts[-1].body
    assert posts[0].headers["idempotency-key"] == posts[-1].headers["idempotency-key"]
