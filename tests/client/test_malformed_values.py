"""Values that no server may send: they end in a typed error and reach neither users nor budgets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.servers import raw_http, responses

from claude_code_client.errors import ClaudeAPIError, ServerError, UnexpectedResponseError

NAN, INFINITY, HUGE = float("nan"), float("inf"), 10**400
BAD_AMOUNTS = [NAN, INFINITY, -INFINITY, HUGE, -0.5, -1, "1", None, True, [], {}]
MODEL = {
    "id": "m",
    "alias": "m",
    "input_price": 1.0,
    "output_price": 5.0,
    "context_window": 1000,
    "max_output_tokens": 100,
    "default": True,
}
USAGE = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, "cost": 0.5}
REPORT = {"period": "day", "start": "s", "end": "e", **USAGE, "limit": 5.0, "remaining": 4.5, "models": []}
WRONG: list[Any] = [5, {}, []]
HEALTH = {"status": "ok", "version": "1", "engine": "e", "upstream": "u", "spec_version": "1"}
CAPABILITIES: dict[str, Any] = {"tools": [], "agents": [], "skills": []}


class Server(raw_http.SocketServer):
    """Server whose response to every request but those for prices is the last one set."""

    def __init__(self) -> None:
        super().__init__(self._respond)
        self.answer: list[bytes] = []

    def _respond(self, request: raw_http.Request) -> list[bytes]:
        prices = request.path.endswith("/models") and self.prices
        return raw_http.response(200, {"data": [MODEL]}) if prices else self.answer

    prices = True

    def set(self, body: Any) -> None:
        self.answer = raw_http.response(200, body)


@pytest.fixture
def server() -> Iterator[Server]:
    with raw_http.serve(Server()) as server:
        yield server


def last(both: ClientKind, stream: Any) -> Any:
    return list(both.each(stream))[-1]


def bad_usage(name: str, cost: str) -> list[dict[str, Any]]:
    good = {name_: value for name_, value in USAGE.items() if name_ != "cost"} | {cost: 0.5}
    # What is null or empty counts as missing, for the legacy service.
    return [{**good, cost if name == "cost" else name: value} for value in BAD_AMOUNTS if value]


@pytest.mark.parametrize("name", ["cost", "input_tokens", "output_tokens", "total_tokens"])
def test_completion_with_an_impossible_amount(both: ClientKind, server: Server, name: str) -> None:
    client = both.client(server.base_url)
    for usage in bad_usage(name, "cost"):
        completion = {**responses.COMPLETION, "usage": usage}
        with client.budget(5) as budget:
            server.set(completion)
            with pytest.raises(UnexpectedResponseError):
                both.call(client.complete("x"))
            done = json.dumps({"type": "completion", "completion": completion}).encode()
            server.answer = list(raw_http.event_stream(b"event: completion\ndata: %s\n\n" % done))
            with pytest.raises(UnexpectedResponseError):
                last(both, client.stream_complete("x"))
            assert budget.spent == 0 < budget.reserved


@pytest.mark.parametrize("name", ["cost", "input_tokens", "output_tokens", "total_tokens"])
def test_task_with_an_impossible_amount(both: ClientKind, server: Server, name: str) -> None:
    client = both.client(server.base_url, max_retries=0)
    for usage in bad_usage(name, "total_cost"):
        with client.budget(5) as budget:
            server.set(responses.task(usage=usage))
            for call in (client.execute_task, client.submit_task, client.get_task, client.cancel_task):
                with pytest.raises(UnexpectedResponseError):
                    both.call(call("x"))
            server.set({"data": [responses.task(usage=usage)], "next_cursor": None})
            with pytest.raises(UnexpectedResponseError):
                last(both, client.list_tasks())
            assert (budget.spent, budget.reserved) == (0, 2)


@pytest.mark.parametrize("value", [NAN, INFINITY, -0.5, "1"], ids=str)
@pytest.mark.parametrize("name", ["total_cost", "total_tokens"])
def test_result_event_with_an_impossible_amount(both: ClientKind, name: str, value: Any) -> None:
    """The cost is taken from the task instead."""
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, "total_cost": 0.25, name: value}
    event = responses.event(1, "result", status="completed", result={}, artifacts=[], usage=usage, summary="")

    def handle(request: raw_http.Request) -> Any:
        if request.path.endswith("/events"):
            return raw_http.event_stream(event.replace(b"Infinity", b"1e999"))
        if request.path.endswith("/task"):
            return raw_http.response(202, responses.task("pending"))
        return raw_http.response(200, responses.task())

    with raw_http.serve(raw_http.SocketServer(handle)) as server:
        client = both.client(server.base_url)
        with client.budget(5) as budget:
            with pytest.raises(UnexpectedResponseError):
                last(both, client.stream_task("x"))
            assert (budget.reserved, budget.spent) == (0, 0.5)
        with pytest.raises(UnexpectedResponseError):
            last(both, client.stream_events("task_1"))


WRONG_FIELDS: dict[str, list[tuple[Any, str, Any]]] = {
    "complete": [
        (responses.COMPLETION, name, value)
        for name, value in [
            ("stop_reason", {}),
            ("stop_reason", 5),
            ("stop_sequence", []),
            ("warnings", "no"),
            ("warnings", [1]),
            ("content", [{"type": "text", "text": 5}]),
        ]
    ],
    "get_task": [
        (responses.task(), name, value)
        for name, value in [
            ("description", 5),
            ("completed_at", {}),
            ("artifacts", [{"id": "a", "type": 5, "path": "p", "size_bytes": 1, "sha256": None, "created_at": ""}]),
            (
                "artifacts",
                [{"id": "a", "type": "file", "path": "p", "size_bytes": -1, "sha256": None, "created_at": ""}],
            ),
            ("artifacts", [{"id": "a", "type": "file", "path": "p", "size_bytes": 1, "sha256": None, "created_at": 5}]),
        ]
    ],
    "list_models": [
        *(
            (MODEL, name, value)
            for name in ("input_price", "output_price", "context_window", "max_output_tokens")
            for value in BAD_AMOUNTS
        ),
        (MODEL, "context_window", 1.5),
        (MODEL, "alias", {}),
        (MODEL, "default", "yes"),
    ],
    "get_usage": [
        *((REPORT, name, value) for name in ("cost", "total_tokens") for value in BAD_AMOUNTS),
        *((REPORT, name, value) for name in ("limit", "remaining") for value in BAD_AMOUNTS if value is not None),
        (REPORT, "start", 5),
        (REPORT, "models", [{"model": "m", "requests": -1, **USAGE}]),
        (REPORT, "models", [{"model": "m", "requests": 1, **USAGE, "cost": NAN}]),
    ],
    "get_health": [(HEALTH, name, value) for name in HEALTH for value in WRONG],
    "get_capabilities": [
        (CAPABILITIES, "tools", [{"name": 5, "description": ""}]),
        (CAPABILITIES, "skills", [{"name": "x", "description": {}}]),
    ],
}


@pytest.mark.parametrize("method", WRONG_FIELDS)
def test_fields_of_wrong_types(both: ClientKind, server: Server, method: str) -> None:
    server.prices = False
    client = both.client(server.base_url)
    arguments = {"complete": ("x",), "get_task": ("task_1",)}.get(method, ())

    def call(body: Any) -> Any:
        server.set({"data": [body]} if method == "list_models" else body)
        return both.call(getattr(client, method)(*arguments))

    call(WRONG_FIELDS[method][0][0])
    for good, name, value in WRONG_FIELDS[method]:
        with pytest.raises(UnexpectedResponseError):
            call({**good, name: value})


@pytest.mark.parametrize("value", [NAN, INFINITY, -1, HUGE, "1"], ids=["nan", "inf", "-1", "huge", "str"])
def test_errors_carry_no_impossible_amounts(both: ClientKind, server: Server, value: Any) -> None:
    server.answer = raw_http.response(500, responses.error("server_error", estimated_cost=value, retry_after=value))
    client = both.client(server.base_url, max_retries=0)
    with pytest.raises(ServerError) as caught:
        both.call(client.get_task("task_1"))
    error: ClaudeAPIError = caught.value
    assert (error.estimated_cost, error.retry_after) == (None, None)
