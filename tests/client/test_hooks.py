"""Hooks, usage totals, and what responses carry beside their body."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from support.clients.client_kinds import KEY, ClientKind
from support.servers import responses
from support.servers.httpserver_script import respond
from support.servers.responses import COMPLETION
from werkzeug import Response

from claude_code_client import (
    APIConnectionError,
    ClaudeClient,
    EventInfo,
    InvalidRequestError,
    RateLimit,
    RequestInfo,
    ResponseInfo,
)

MODEL = {"id": "claude-x", "alias": "x", "input_price": 3.0, "output_price": 15.0, "context_window": 200_000}
MODEL |= {"max_output_tokens": 1000, "default": True}
LIMITS = {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "12", "X-Request-Id": "req_9"}


def hook(both: ClientKind, function: Callable[[Any], object]) -> Callable[[Any], object]:
    """Return the function as a hook of the kind of client: a coroutine function for the asynchronous one."""
    if both.kind == "sync":
        return function

    async def awaited(info: Any) -> None:
        function(info)

    return awaited


@pytest.mark.usefixtures("short_backoff")
def test_each_attempt_and_each_response_is_shown(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    respond(httpserver, (503, responses.error("overloaded_error", "later")), (200, COMPLETION, LIMITS))
    seen: list[Any] = []
    client = both.client(base_url, on_request=hook(both, seen.append), on_response=hook(both, seen.append))
    both.call(client.complete("secret prompt", idempotency_key="key-1"))
    first, refused, second, done = seen
    assert first == RequestInfo(method="POST", path="/v1/chat/completions", attempt=1, idempotency_key="key-1")
    assert (second.attempt, second.idempotency_key) == (2, "key-1")
    assert isinstance(refused, ResponseInfo)
    assert (refused.request, refused.status_code, done.status_code, done.request_id) == (first, 503, 200, "req_9")
    assert done.rate_limit == RateLimit(limit=100, remaining=7, reset=12.0)
    assert done.elapsed > 0
    assert "secret" not in repr(seen)
    assert KEY not in repr(seen)


def test_an_attempt_without_a_response_is_shown(both: ClientKind) -> None:
    seen: list[ResponseInfo] = []
    client = both.client("http://127.0.0.1:9/v1", max_retries=0, on_response=hook(both, seen.append))
    with pytest.raises(APIConnectionError):
        both.call(client.complete("x"))
    assert [(each.status_code, each.failure) for each in seen] == [(None, "ConnectError")]


def test_what_on_request_raises_ends_the_call_before_anything_is_sent(
    both: ClientKind, httpserver: HTTPServer, base_url: str
) -> None:
    requests = respond(httpserver, {"data": [MODEL]})

    def refuse(info: RequestInfo) -> None:
        if info.path.endswith("/completions"):
            raise LookupError("not now")

    client = both.client(base_url, on_request=hook(both, refuse))
    with client.budget(1.0) as budget:
        with pytest.raises(LookupError, match="not now"):
            both.call(client.complete("x", model="haiku", max_tokens=5))
        assert budget.spent == budget.reserved == 0
    assert [request.path for request in requests] == ["/v1/models"]


def test_what_other_hooks_raise_is_logged_and_loses_nothing(
    both: ClientKind, httpserver: HTTPServer, base_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    respond(httpserver, COMPLETION)

    def fail(info: object) -> None:
        raise LookupError("my own bug")

    client = both.client(base_url, on_response=hook(both, fail))
    with caplog.at_level(logging.WARNING, "claude_code_client"):
        assert both.call(client.complete("x")).id == COMPLETION["id"]
    assert "on_response raised" in caplog.text
    assert "my own bug" in caplog.text


def stream(*chunks: bytes) -> Response:
    response = responses.event_stream(*chunks)
    response.headers.extend(LIMITS)
    return response


def test_events_of_tasks_and_completions_are_shown(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    seen: list[EventInfo] = []
    text = responses.event(1, "text_delta", text="Hi"), responses.event(2, "completion", completion=COMPLETION)
    respond(httpserver, stream(*text), stream(responses.event(1, "thinking"), responses.result_event(2)))
    client = both.client(base_url, on_event=hook(both, seen.append))
    *_, completion = both.each(client.stream_complete("x"))
    events = client.stream_events("task_1")
    received = list(both.each(events))
    assert [(each.type, each.task_id) for each in seen] == [
        ("text_delta", None),
        ("completion", None),
        ("thinking", "task_1"),
        ("result", "task_1"),
    ]
    assert [each.event for each in seen] == ["Hi", completion, *received]
    assert completion.request_id == events.request_id == "req_9"
    assert completion.rate_limit == events.rate_limit == RateLimit(limit=100, remaining=7, reset=12.0)
    assert (client.usage.calls, client.usage.cost) == (1, COMPLETION["usage"]["cost"])


@pytest.mark.parametrize("name", ["on_request", "on_response", "on_event"])
def test_hooks_that_cannot_be_called_are_refused(both: ClientKind, base_url: str, name: str) -> None:
    with pytest.raises(InvalidRequestError, match=name):
        both.client(base_url, **{name: 3})


def test_the_synchronous_client_refuses_coroutine_functions(base_url: str) -> None:
    async def hook(info: object) -> None: ...

    with pytest.raises(InvalidRequestError, match="on_event"):
        ClaudeClient("sk-proj-x", base_url, on_event=hook)


def test_a_pickle_carries_no_hooks(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    respond(httpserver, COMPLETION)
    client = both.client(base_url, on_request=lambda info: None)
    pickle.loads(pickle.dumps(client))


def test_responses_carry_request_id_and_rate_limit(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    respond(httpserver, (200, COMPLETION, LIMITS), (200, responses.task("completed"), LIMITS))
    client = both.client(base_url)
    completion, task = both.call(client.complete("x")), both.call(client.get_task("task_1"))
    for response in (completion, task):
        assert response.request_id == "req_9"
        assert response.rate_limit == RateLimit(limit=100, remaining=7, reset=12.0)
        assert "request_id" not in response.to_dict()
    # As they were before they were sent through a pickle.
    assert pickle.loads(pickle.dumps(completion)).rate_limit == completion.rate_limit


def test_responses_without_the_headers_have_none(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    respond(httpserver, COMPLETION, (200, COMPLETION, {"X-RateLimit-Remaining": "many"}))
    client = both.client(base_url)
    assert both.call(client.complete("x")).rate_limit is None
    assert both.call(client.complete("x")).rate_limit == RateLimit()


def test_usage_counts_each_response_once(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    other = {**COMPLETION, "id": "cmpl_other"}
    respond(httpserver, COMPLETION, COMPLETION, other, responses.task("completed"))
    client = both.client(base_url)
    for key in ("one", "one", "two"):
        both.call(client.complete("x", idempotency_key=key))
    usage = COMPLETION["usage"]
    assert client.usage.calls == 2
    assert client.usage.input_tokens == 2 * usage["input_tokens"]
    assert client.usage.total_tokens == 2 * usage["total_tokens"]
    assert client.usage.cost == pytest.approx(2 * usage["cost"])
    task = both.call(client.execute_task("x"))
    assert client.usage.calls == 3
    assert client.usage.cost == pytest.approx(2 * usage["cost"] + task.usage.cost)
    assert client.with_options(timeout=3).usage == client.usage
