"""Completions over real sockets, with the offline model and with a Messages endpoint on loopback."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.servers.embedded_server import KEY, OTHER_KEY, Received, Running, events_of, serving
from support.servers.messages_endpoint import Cut, Failure, Hang, Script, ScriptedMessages, Whole, message, thinking
from support.servers.scripted_engine import ScriptedEngine

ASK = {"messages": [{"role": "user", "content": "Hi"}]}


@contextmanager
def asking(folder: Path, script: Script, **settings: Any) -> Iterator[tuple[httpx.Client, ScriptedMessages]]:
    """Run a server with a scripted endpoint as its upstream; yield a client and the endpoint."""
    with (
        ScriptedMessages(script) as endpoint,
        serving(
            folder, ScriptedEngine(), **{"upstream": endpoint.url, "upstream_key": "sk-real", **settings}
        ) as server,
        server.client() as client,
    ):
        yield client, endpoint


def stream(client: httpx.Client, headers: Mapping[str, str] | None = None) -> list[Received]:
    response = client.post("/chat/completions/stream", json=ASK, headers=headers)
    assert response.status_code == 200
    events = events_of(iter(response.text.split("\n")), "CompletionEvent")
    return [event for event in events if event.type != "comment"]


def test_the_offline_model_identifies_itself_and_costs_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, ScriptedEngine()) as server, server.client() as client:
        reply = client.post("/chat/completions", json=ASK).json()
        assert "not a language model" in reply["content"][0]["text"]
        usage = reply["usage"]
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
        assert usage["cost"] == 0
        assert (reply["type"], reply["role"], reply["stop_reason"]) == ("message", "assistant", "end_turn")
        events = stream(client)
        assert "".join(event.data["text"] for event in events[:-1]) == reply["content"][0]["text"]
        assert events[-1].data["completion"]["content"] == reply["content"]


def test_only_completions_that_cost_money_wait_for_the_disk(tmp_path: Path) -> None:
    paid, free = tmp_path / "paid", tmp_path / "free"
    with ScriptedMessages([message("Hi")]) as endpoint:
        statements = _statements_of_a_completion(paid, upstream=endpoint.url, upstream_key="sk-real")
    assert "PRAGMA synchronous = NORMAL" not in statements
    statements = _statements_of_a_completion(free)
    first, last = (statements.index(f"PRAGMA synchronous = {level}") for level in ("NORMAL", "FULL"))
    written = [at for at, statement in enumerate(statements) if statement.startswith(("INSERT", "COMMIT"))]
    assert written
    assert all(first < at < last for at in written)


def _statements_of_a_completion(folder: Path, **settings: Any) -> list[str]:
    folder.mkdir()
    statements: list[str] = []
    with serving(folder, ScriptedEngine(), **settings) as server, server.client() as client:

        async def trace() -> None:
            server.services.store._db.set_trace_callback(statements.append)

        asyncio.run_coroutine_threadsafe(trace(), server.services.loop).result(10)
        headers = {"Idempotency-Key": "a"}
        assert client.post("/chat/completions", json=ASK, headers=headers).status_code == 200
    return statements


def test_request_and_response_are_translated(tmp_path: Path) -> None:
    body = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "c"},
        ],
        "model": "haiku",
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 1,
        "stop": ["END"],
        "unknown": True,
    }
    reply = message(thinking("hm"), "one", "two", input_tokens=1000, output_tokens=100, cache_read_input_tokens=10)
    with asking(tmp_path, [reply]) as (client, endpoint):
        completion = client.post("/chat/completions", json=body).json()
        usage = client.get("/usage", params={"period": "day"}).json()
    sent = endpoint.requests[0].body
    assert sent["messages"] == [
        {"role": role, "content": text} for role, text in zip(("user", "assistant", "user"), "abc", strict=True)
    ]
    assert sent["system"] == "Be brief.\n\nBe kind."
    assert (sent["model"], sent["max_tokens"], sent["stop_sequences"]) == ("claude-haiku-5-5", 7, ["END"])
    assert not {"temperature", "top_p", "unknown", "stop"} & set(sent)
    assert endpoint.requests[0].headers["x-api-key"] == "sk-real"
    assert [block["text"] for block in completion["content"]] == ["one", "two"]
    assert completion["usage"]["input_tokens"] == 1010
    assert completion["usage"]["cost"] == pytest.approx((1000 * 0.1 + 10 * 0.01 + 100 * 0.5) / 1e6)
    assert [warning.split(";")[0] for warning in completion["warnings"]] == [
        "claude-haiku-5-5 does not support temperature",
        "claude-haiku-5-5 does not support top_p",
        "This server does not know the field unknown",
    ]
    assert usage["models"] == [
        {
            "model": "claude-haiku-5-5",
            "requests": 1,
            **{name: completion["usage"][name] for name in ("input_tokens", "output_tokens", "total_tokens", "cost")},
        }
    ]
    assert (usage["limit"], usage["remaining"]) == (None, None)


def test_nulls_count_as_absent(tmp_path: Path) -> None:
    nulls = dict.fromkeys(("model", "max_tokens", "temperature", "top_p", "stop"))
    with asking(tmp_path, [message("a")], model="opus") as (client, endpoint):
        assert client.post("/chat/completions", json=ASK | nulls).json()["warnings"] == []
    assert set(endpoint.requests[0].body) == {"model", "max_tokens", "messages", "stream"}
    assert endpoint.requests[0].body["model"] == "claude-opus-5-5"


def test_a_model_without_a_list_price_causes_a_warning(tmp_path: Path) -> None:
    with asking(tmp_path, [message("a")]) as (client, endpoint):
        completion = client.post("/chat/completions", json=ASK | {"model": "local-7b", "temperature": 1}).json()
    assert endpoint.requests[0].body["temperature"] == 1
    assert completion["usage"]["cost"] == 0
    assert len(completion["warnings"]) == 1


def test_system_messages_alone_are_rejected(tmp_path: Path) -> None:
    with serving(tmp_path, ScriptedEngine()) as server, server.client() as client:
        body = {"messages": [{"role": "system", "content": "a"}]}
        for path in ("/chat/completions", "/chat/completions/stream"):
            response = client.post(path, json=body)
            assert response.status_code == 400
            assert response.json()["error"]["param"] == "messages"


def test_a_stream_contains_the_text_and_ends_with_the_completion(tmp_path: Path) -> None:
    with asking(tmp_path, [message(thinking("hm"), "Hel", "lo")]) as (client, _):
        events = stream(client)
    assert [(event.type, event.data.get("text")) for event in events[:-1]] == [
        ("text_delta", "Hel"),
        ("text_delta", "lo"),
    ]
    done = events[-1].data["completion"]
    assert [block["text"] for block in done["content"]] == ["Hel", "lo"]
    assert done["usage"]["total_tokens"] == 120


def test_upstream_errors_map_to_errors_of_the_contract(tmp_path: Path) -> None:
    table = [
        (Failure(401, "authentication_error", "bad key"), 500, "server_error", "ANTHROPIC_API_KEY"),
        (Failure(403, "permission_error", "no"), 500, "server_error", "ANTHROPIC_API_KEY"),
        (Failure(429, "rate_limit_error", "slow", {"retry-after": "7"}), 429, "rate_limit_error", "slow"),
        (Failure(529, "overloaded_error", "busy"), 529, "overloaded_error", "busy"),
        (Failure(503, "api_error", "busy"), 503, "overloaded_error", "busy"),
        (Failure(400, "invalid_request_error", "max_tokens"), 400, "invalid_request_error", "max_tokens"),
        (Failure(404, "not_found_error", "model: x"), 400, "invalid_request_error", "model: x"),
        (Failure(500, "api_error", "oops"), 502, "server_error", "oops"),
    ]
    script = [failure for failure, *_ in table for _ in range(2)]
    with asking(tmp_path, script) as (client, _):
        for _, status, kind, part in table:
            for path in ("/chat/completions", "/chat/completions/stream"):
                response = client.post(path, json=ASK)
                assert response.status_code == status
                error = response.json()["error"]
                assert error["type"] == kind
                assert part in error["message"]
                assert "sk-real" not in response.text
                assert KEY not in response.text
                if status == 429:
                    assert (error["retry_after"], response.headers["retry-after"]) == (7, "7")
        assert client.get("/usage").json()["total_tokens"] == 0


def test_an_unreachable_upstream_is_named(tmp_path: Path) -> None:
    with ScriptedMessages([]) as endpoint:
        gone = endpoint.url
    with serving(tmp_path, ScriptedEngine(), upstream=gone) as server, server.client() as client:
        response = client.post("/chat/completions", json=ASK)
        assert response.status_code == 502
        assert response.json()["error"]["type"] == "server_error"
        assert gone in response.json()["error"]["message"]
        assert client.get("/health").json()["upstream"] == "127.0.0.1"


def test_a_broken_upstream_stream_ends_with_an_error_event(tmp_path: Path) -> None:
    with asking(tmp_path, [Cut(message("Hel", "lo"), after=3)]) as (client, _):
        events = stream(client)
    assert [event.type for event in events] == ["text_delta", "error"]
    assert events[-1].data["error"]["type"] == "server_error"


def test_a_repeated_request_gets_the_stored_response(tmp_path: Path) -> None:
    headers = {"Idempotency-Key": "k"}
    state = tmp_path / "state"
    with asking(tmp_path, [message("a"), message("b")], state_dir=state) as (client, endpoint):
        first = client.post("/chat/completions", json=ASK, headers=headers).json()
        assert client.post("/chat/completions", json=ASK, headers=headers).json() == first
        events = stream(client, headers)
        assert [event.data.get("text") for event in events] == ["a", None]
        assert events[-1].data["completion"] == first
        other = client.post("/chat/completions", json=ASK | {"max_tokens": 9}, headers=headers)
        assert (other.status_code, other.json()["error"]["type"]) == (409, "idempotency_error")
        foreign = client.post("/chat/completions", json=ASK, headers=headers | {"Authorization": f"Bearer {OTHER_KEY}"})
        assert foreign.json()["content"][0]["text"] == "b"
        assert client.get("/usage").json()["models"][0]["requests"] == 1
        assert len(endpoint.requests) == 2
    with asking(tmp_path, [], state_dir=state) as (client, endpoint):
        assert client.post("/chat/completions", json=ASK, headers=headers).json() == first
        assert endpoint.requests == []


def test_errors_are_not_stored(tmp_path: Path) -> None:
    with asking(tmp_path, [Failure(529, "overloaded_error", "busy"), message("a")]) as (client, _):
        headers = {"Idempotency-Key": "k"}
        assert client.post("/chat/completions", json=ASK, headers=headers).status_code == 529
        assert client.post("/chat/completions", json=ASK, headers=headers).status_code == 200


def test_ten_concurrent_requests_with_one_key_call_the_upstream_once(tmp_path: Path) -> None:
    with asking(tmp_path, [message("a")]) as (client, endpoint), ThreadPoolExecutor(10) as threads:
        headers = {"Idempotency-Key": "k"}
        calls = [
            threads.submit(client.post, path, json=ASK, headers=headers)
            for path in ("/chat/completions", "/chat/completions/stream") * 5
        ]
        responses = [call.result(10) for call in calls]
        assert [completion.status_code for completion in responses] == [200] * 10
        ids = {completion.json()["id"] for completion in responses[::2]}
        assert len(ids) == 1
        assert all(ids.copy().pop() in completion.text for completion in responses[1::2])
    assert len(endpoint.requests) == 1


def test_a_client_disconnect_cancels_the_upstream_call(tmp_path: Path) -> None:
    hang = Hang()
    with asking(tmp_path, [hang, message("a")], ping_interval=0.05) as (client, endpoint):
        with client.stream("POST", "/chat/completions/stream", json=ASK) as response:
            assert next(response.iter_lines()) == ": ping"
            assert endpoint.requested.wait(15)
        assert stream(client)[-1].type == "completion"


def leave(client: httpx.Client, endpoint: ScriptedMessages, path: str, **headers: str) -> None:
    """Post a completion request and disconnect once it has reached the upstream."""
    endpoint.requested.clear()
    with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as connection:
        body = json.dumps(ASK).encode()
        sent = {"Host": "localhost", "Authorization": f"Bearer {KEY}", "Content-Length": str(len(body)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        connection.sendall(f"POST /v1{path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        assert endpoint.requested.wait(15)


@pytest.mark.parametrize("path", ["/chat/completions", "/chat/completions/stream"])
def test_a_completion_that_nobody_can_receive_is_cancelled(tmp_path: Path, path: str) -> None:
    with asking(tmp_path, [Hang(), message("a")]) as (client, endpoint):
        leave(client, endpoint, path)
        assert endpoint.abandoned.wait(15)
        assert client.post("/chat/completions", json=ASK).status_code == 200


@pytest.mark.parametrize("path", ["/chat/completions", "/chat/completions/stream"])
def test_a_completion_with_a_key_survives_its_caller(tmp_path: Path, path: str) -> None:
    reached, goes_on = threading.Event(), threading.Event()

    def reply(_: object) -> dict[str, Any]:
        reached.set()
        assert goes_on.wait(10)
        return message("Paid for.")

    with asking(tmp_path, reply) as (client, endpoint):
        leave(client, endpoint, path, **{"Idempotency-Key": "k"})
        assert reached.wait(15)
        goes_on.set()
        response = client.post("/chat/completions", json=ASK, headers={"Idempotency-Key": "k"})
        assert response.json()["content"][0]["text"] == "Paid for."
        assert len(endpoint.requests) == 1


def test_an_upstream_that_ignores_stream(tmp_path: Path) -> None:
    whole = Whole(message("Hello. ", "How are you?", input_tokens=1000, output_tokens=2000))
    with asking(tmp_path, [whole]) as (client, _):
        *deltas, last = stream(client)
        assert "".join(event.data["text"] for event in deltas) == "Hello. How are you?"
        assert (last.data["completion"]["usage"]["total_tokens"], last.data["completion"]["stop_reason"]) == (
            3000,
            "end_turn",
        )


def test_streaming_has_a_path_of_its_own(tmp_path: Path) -> None:
    with asking(tmp_path, [message("a"), message("b")]) as (client, endpoint):
        error = client.post("/chat/completions", json={**ASK, "stream": True})
        assert (error.status_code, error.json()["error"]["param"]) == (400, "stream")
        assert "POST /v1/chat/completions/stream" in error.json()["error"]["message"]
        assert endpoint.requests == []
        assert client.post("/chat/completions", json={**ASK, "stream": False}).json()["warnings"] == []
        assert '"warnings":[]' in client.post("/chat/completions/stream", json={**ASK, "stream": True}).text


def test_unknown_fields_are_named_in_warnings(tmp_path: Path) -> None:
    body = {"messages": [{"role": "user", "content": "Hi", "name": "Jo"}], "n": 2, "top_k": {"a": 1}, "x" * 100: 1}
    with asking(tmp_path, [message("a"), message("b")]) as (client, _):
        warnings = client.post("/chat/completions", json=body).json()["warnings"]
        names = ("messages[0].name", "n", "top_k", f"{'x' * 60}…")
        assert warnings == [f"This server does not know the field {name}; it was ignored." for name in names]
        streamed = client.post("/chat/completions/stream", json=body).text
        assert [name for name in names if f"the field {name};" in streamed] == list(names)


def test_shutdown_answers_a_completion_in_progress(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads, ScriptedMessages([Hang()]) as endpoint:
        with serving(tmp_path, ScriptedEngine(), upstream=endpoint.url) as server:
            call = threads.submit(_ask, server)
            assert endpoint.requested.wait(15)
        assert call.result(15).status_code == 503


def _ask(server: Running) -> httpx.Response:
    with server.client() as client:
        return client.post("/chat/completions", json=ASK)
