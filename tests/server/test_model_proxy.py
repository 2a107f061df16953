"""Model proxy: the loopback endpoint through which Claude Code reaches the model."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.servers.messages_endpoint import (
    Cut,
    ErrorEvent,
    Failure,
    Hang,
    Script,
    ScriptedMessages,
    message,
    thinking,
    tool,
)

from claude_code_server.domain.engine_protocol import CancelToken, TaskSpec
from claude_code_server.domain.model_catalog import ModelCatalog, Tariff
from claude_code_server.domain.usage import Usage
from claude_code_server.engine.model_proxy import ModelProxy
from claude_code_server.engine.task_credential import TaskCredential
from claude_code_server.upstream.factory import open_upstream

KEY = "sk-real-key-canary"
ASK: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": "hi"}],
}


@dataclass
class Bench:
    proxy: ModelProxy
    http: httpx.AsyncClient
    endpoint: ScriptedMessages
    reported: list[Usage] = field(default_factory=list)
    """Usage as reported to the task's owner."""

    def issue(self, max_cost: float = 1.0) -> TaskCredential:
        spec = TaskSpec("task_1", "Do it.", Path(), "claude-sonnet-5-5", max_cost=max_cost)
        return self.proxy.issue_credential(spec, CancelToken(), lambda usage, _: self.reported.append(usage))

    async def post(
        self, credential: TaskCredential | None, path: str = "/v1/messages?beta=true", **changes: Any
    ) -> httpx.Response:
        key = credential.key if credential else "sk-unknown"
        return await self.http.post(path, json={**ASK, **changes}, headers={"x-api-key": key})


@asynccontextmanager
async def bench(script: Script, spec: str | None = None) -> AsyncIterator[Bench]:
    with ScriptedMessages(script) as endpoint:
        source = open_upstream(spec or endpoint.url, KEY)
        proxy = ModelProxy(source, Tariff(ModelCatalog(), free=source.free, local=source.local))
        await proxy.start()
        async with httpx.AsyncClient(base_url=proxy.base_url, trust_env=False, verify=False) as http:
            yield Bench(proxy, http, endpoint)
        await proxy.aclose()
        await source.aclose()


def on_bench(script: Script, body: Callable[[Bench], Coroutine[Any, Any, None]], spec: str | None = None) -> None:
    async def main() -> None:
        async with bench(script, spec) as made:
            await body(made)

    asyncio.run(main())


def assert_usage(credential: TaskCredential, prompt: int, output: int, usd: float) -> None:
    assert (credential.usage.input_tokens, credential.usage.output_tokens) == (prompt, output)
    assert credential.usage.cost == pytest.approx(usd)


def events_in(response: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in response.text.split("\n") if line.startswith("data: ")]


def test_responses_pass_through_and_are_metered() -> None:
    usage: dict[str, Any] = {"cache_read_input_tokens": 1000, "cache_creation_input_tokens": 2000}

    async def body(made: Bench) -> None:
        credential = made.issue()
        whole = await made.post(credential)
        assert whole.json()["content"] == [{"type": "text", "text": "one"}]
        streamed = await made.post(credential, stream=True)
        assert streamed.headers["content-type"].startswith("text/event-stream")
        assert events_in(streamed)[-1] == {"type": "message_stop"}
        each = (100 * 2 + 20 * 10 + 1000 * 0.1 + 2000 * 2.5) / 1_000_000
        assert_usage(credential, 6200, 40, 2 * each)
        # Before each call, and at its end; the prompt of a streamed reply is told of as soon as it is known.
        assert [spent.input_tokens for spent in made.reported] == [0, 3100, 3100, 6200, 6200, 6200]
        assert made.reported[1].output_tokens == 20
        assert made.reported[-1] == credential.usage

    on_bench([message("one", **usage), message("two", **usage)], body)


@pytest.mark.parametrize("stream", [True, False])
def test_lone_surrogates_pass_through(stream: bool) -> None:
    half = "half \ud83d \u2028"

    async def body(made: Bench) -> None:
        content = json.dumps({**ASK, "stream": stream, "system": half})
        response = await made.http.post("/v1/messages", content=content, headers={"x-api-key": made.issue().key})
        assert made.endpoint.requests[0].body["system"] == half
        if stream:
            deltas = [event["delta"] for event in events_in(response) if event["type"] == "content_block_delta"]
            assert [delta["text"] for delta in deltas] == [half]
        else:
            assert response.json()["content"][0]["text"] == half

    on_bench([message(half)], body)


def test_the_proxy_adds_the_real_key() -> None:
    async def body(made: Bench) -> None:
        credential = made.issue()
        response = await made.http.post(
            "/v1/messages",
            json=ASK,
            headers={"authorization": f"Bearer {credential.key}", "anthropic-beta": "a,b"},
        )
        assert response.status_code == 200
        requested = made.endpoint.requests[0].headers
        assert requested["x-api-key"] == KEY
        assert requested["anthropic-beta"] == "a,b"
        assert credential.key not in str(requested)
        assert credential.key not in repr(credential)

    on_bench([message("one")], body)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_keys_are_valid_only_while_their_task_runs(path: str) -> None:
    async def body(made: Bench) -> None:
        with made.issue() as credential:
            assert credential.key != made.issue().key
        for one in (None, credential):
            response = await made.post(one, path)
            assert response.status_code == 401
            assert response.json()["error"]["type"] == "authentication_error"
            assert response.headers["x-should-retry"] == "false"
        assert made.endpoint.requests == []

    on_bench([], body)


@pytest.mark.parametrize("stream", [True, False])
def test_errors_keep_status_type_and_retry_after(stream: bool) -> None:
    async def body(made: Bench) -> None:
        credential = made.issue()
        response = await made.post(credential, stream=stream)
        assert response.status_code == 429
        assert response.json() == {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}
        assert response.headers["retry-after"] == "7"
        assert "x-should-retry" not in response.headers
        assert str(credential.last_error) == "slow"
        response = await made.post(credential, stream=stream)
        assert (response.status_code, response.headers["x-should-retry"]) == (403, "false")
        await made.post(credential, stream=stream)
        assert credential.last_error is None

    slow = Failure(429, "rate_limit_error", "slow", {"retry-after": "7"})
    on_bench([slow, Failure(403, "permission_error", "no"), message("at last")], body)


def test_a_request_that_is_not_a_json_object_is_rejected() -> None:
    async def body(made: Bench) -> None:
        headers = {"x-api-key": made.issue().key}
        for path in ("/v1/messages", "/v1/messages/count_tokens"):
            for content in (b"", b"[1]", b"{"):
                response = await made.http.post(path, content=content, headers=headers)
                assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")
        assert made.endpoint.requests == []

    on_bench([], body)


def test_no_call_is_made_once_the_budget_is_used_up() -> None:
    async def body(made: Bench) -> None:
        credential = made.issue(max_cost=0.01)
        assert (await made.post(credential)).status_code == 200
        assert credential.cancellation.reason is None
        response = await made.post(credential)
        assert response.status_code == 402
        assert "$0.01" in response.json()["error"]["message"]
        assert response.headers["x-should-retry"] == "false"
        assert credential.cancellation.reason == "cost_exceeded"
        assert len(made.endpoint.requests) == 1

    on_bench([message("dear", output_tokens=1000), message("never")], body)


def test_a_cancelled_task_makes_no_further_call() -> None:
    async def body(made: Bench) -> None:
        credential = made.issue()
        credential.cancellation.cancel("cancelled")
        response = await made.post(credential)
        assert (response.status_code, response.headers["x-should-retry"]) == (400, "false")
        assert made.endpoint.requests == []

    on_bench([message("never")], body)


def test_the_output_of_a_call_is_limited_by_the_budget() -> None:
    async def body(made: Bench) -> None:
        credential = made.issue(max_cost=0.005)
        for _ in range(2):
            await made.post(credential)
        await made.post(made.issue(max_cost=5.0))
        assert (await made.post(made.issue(max_cost=0.000_000_1))).status_code == 402
        first, second, third = [requested.body["max_tokens"] for requested in made.endpoint.requests]
        # The prompt is reserved too. The first reply costs 10 tokens.
        assert 200 < first < 500
        assert second == first - 10
        assert third == 1000

    on_bench(lambda _: message("one", input_tokens=0, output_tokens=10), body)


def test_a_free_upstream_costs_nothing() -> None:
    async def body(made: Bench) -> None:
        credential = made.issue(max_cost=1e-9)
        for _ in range(2):
            response = await made.post(credential, stream=True)
            assert events_in(response)[-1]["type"] == "message_stop"
        assert credential.usage.cost == 0
        assert credential.usage.input_tokens > 0
        assert credential.usage.output_tokens > 0
        count = await made.post(credential, "/v1/messages/count_tokens")
        assert count.json()["input_tokens"] > 0

    on_bench([], body, spec="offline")


@pytest.mark.parametrize(
    "broken",
    [
        Cut(message(thinking("x" * 400), input_tokens=1000), 3),
        ErrorEvent(message(thinking("x" * 400), input_tokens=1000), 3, "overloaded_error", "busy"),
    ],
)
def test_a_broken_stream_is_metered_and_reported(broken: Cut | ErrorEvent) -> None:
    async def body(made: Bench) -> None:
        credential = made.issue()
        events = events_in(await made.post(credential, stream=True))
        assert [event["type"] for event in events][-2:] == ["content_block_delta", "error"]
        assert credential.last_error is not None
        assert events[-1]["error"]["message"] == str(credential.last_error)
        # 400 characters have arrived, but the upstream may charge for 1000 tokens.
        assert_usage(credential, 1000, 1000, 0.012)

    on_bench([broken], body)


@pytest.mark.slow
def test_concurrent_calls_are_all_metered() -> None:
    def response(body: dict[str, Any]) -> dict[str, Any]:
        number = int(body["messages"][0]["content"])
        return message("x", tool("Read", file_path="y"), input_tokens=number, output_tokens=1)

    async def body(made: Bench) -> None:
        ours, other = made.issue(), made.issue()
        posts = [
            made.post(ours, stream=bool(number % 2), messages=[{"role": "user", "content": str(number)}])
            for number in range(40)
        ]
        await asyncio.gather(*posts, made.post(other, messages=[{"role": "user", "content": "7"}]))
        assert (ours.usage.input_tokens, ours.usage.output_tokens) == (sum(range(40)), 40)
        assert other.usage.input_tokens == 7

    on_bench(response, body)


@pytest.mark.parametrize("stream", [True, False])
def test_an_agents_disconnect_cancels_its_call(stream: bool) -> None:
    async def body(made: Bench) -> None:
        posting = asyncio.create_task(made.post(made.issue(), stream=stream))
        assert await asyncio.to_thread(made.endpoint.requested.wait, 15)
        posting.cancel()
        assert await asyncio.to_thread(made.endpoint.abandoned.wait, 15)

    on_bench([Hang()], body)


@pytest.mark.slow
def test_closing_does_not_wait_for_calls_in_progress() -> None:
    async def body(made: Bench) -> None:
        posting = asyncio.create_task(made.post(made.issue(), stream=True))
        assert await asyncio.to_thread(made.endpoint.requested.wait, 15)
        async with asyncio.timeout(15):
            await made.proxy.aclose()
        (response,) = await asyncio.gather(posting, return_exceptions=True)
        assert isinstance(response, httpx.HTTPError) or (isinstance(response, httpx.Response) and response.is_error)

    on_bench([Hang()], body)


def test_an_unreachable_upstream_is_named() -> None:
    async def body(made: Bench) -> None:
        response = await made.post(made.issue())
        assert response.status_code == 502
        assert "http://127.0.0.1:9" in response.json()["error"]["message"]

    on_bench([], body, spec="http://127.0.0.1:9")
