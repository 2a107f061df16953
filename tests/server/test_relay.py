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
    """What was spent, as the tasks' owner is told of it."""

    def issue(self, max_cost: float = 1.0) -> TaskCredential:
        spec = TaskSpec("task_1", "Do it.", Path(), "claude-sonnet-5-5", max_cost=max_cost)
        return self.proxy.issue_credential(spec, CancelToken(), self.reported.append)

    async def ask(
        self, credential: TaskCredential | None, path: str = "/v1/messages?beta=true", **changes: Any
    ) -> httpx.Response:
        key = credential.key if credential else "sk-unknown"
        return await self.http.post(path, json={**ASK, **changes}, headers={"x-api-key": key})


@asynccontextmanager
async def bench(script: Script, spec: str | None = None) -> AsyncIterator[Bench]:
    with ScriptedMessages(script) as endpoint:
        source = open_upstream(spec or endpoint.url, KEY)
        proxy = ModelProxy(source)
        await proxy.start()
        async with httpx.AsyncClient(base_url=proxy.base_url, trust_env=False) as http:
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


def test_replies_pass_through_and_are_metered() -> None:
    usage: dict[str, Any] = {"cache_read_input_tokens": 1000, "cache_creation_input_tokens": 2000}

    async def body(made: Bench) -> None:
        credential = made.issue()
        whole = await made.ask(credential)
        assert whole.json()["content"] == [{"type": "text", "text": "one"}]
        streamed = await made.ask(credential, stream=True)
        assert streamed.headers["content-type"].startswith("text/event-stream")
        assert events_in(streamed)[-1] == {"type": "message_stop"}
        each = (100 * 2 + 20 * 10 + 1000 * 0.1 + 2000 * 2.5) / 1_000_000
        assert_usage(credential, 6200, 40, 2 * each)
        # The prompt of a streamed reply is told of as soon as it is known, all of it before the agent hears the end.
        assert [spent.input_tokens for spent in made.reported] == [3100, 6200, 6200, 6200]
        assert made.reported[0].output_tokens == 20
        assert made.reported[-1] == credential.usage

    on_bench([message("one", **usage), message("two", **usage)], body)


@pytest.mark.parametrize("stream", [True, False])
def test_text_that_is_no_unicode_passes_through(stream: bool) -> None:
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


def test_the_real_key_is_added_behind_the_relay() -> None:
    async def body(made: Bench) -> None:
        credential = made.issue()
        response = await made.http.post(
            "/v1/messages",
            json=ASK,
            headers={"authorization": f"Bearer {credential.key}", "anthropic-beta": "a,b"},
        )
        assert response.status_code == 200
        asked = made.endpoint.requests[0].headers
        assert asked["x-api-key"] == KEY
        assert asked["anthropic-beta"] == "a,b"
        assert credential.key not in str(asked)
        assert credential.key not in repr(credential)

    on_bench([message("one")], body)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_keys_are_good_for_a_running_task_only(path: str) -> None:
    async def body(made: Bench) -> None:
        with made.issue() as credential:
            assert credential.key != made.issue().key
        for one in (None, credential):
            response = await made.ask(one, path)
            assert response.status_code == 401
            assert response.json()["error"]["type"] == "authentication_error"
            assert response.headers["x-should-retry"] == "false"
        assert made.endpoint.requests == []

    on_bench([], body)


@pytest.mark.parametrize("stream", [True, False])
def test_errors_keep_status_type_and_wait(stream: bool) -> None:
    async def body(made: Bench) -> None:
        credential = made.issue()
        response = await made.ask(credential, stream=stream)
        assert response.status_code == 429
        assert response.json() == {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}
        assert response.headers["retry-after"] == "7"
        assert "x-should-retry" not in response.headers
        assert str(credential.last_error) == "slow"
        response = await made.ask(credential, stream=stream)
        assert (response.status_code, response.headers["x-should-retry"]) == (403, "false")
        await made.ask(credential, stream=stream)
        assert credential.last_error is None

    slow = Failure(429, "rate_limit_error", "slow", {"retry-after": "7"})
    on_bench([slow, Failure(403, "permission_error", "no"), message("at last")], body)


def test_a_request_that_is_no_json_object_goes_no_further() -> None:
    async def body(made: Bench) -> None:
        headers = {"x-api-key": made.issue().key}
        for path in ("/v1/messages", "/v1/messages/count_tokens"):
            for content in (b"", b"[1]", b"{"):
                response = await made.http.post(path, content=content, headers=headers)
                assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")
        assert made.endpoint.requests == []

    on_bench([], body)


def test_nothing_left_no_call() -> None:
    async def body(made: Bench) -> None:
        credential = made.issue(max_cost=0.01)
        assert (await made.ask(credential)).status_code == 200
        assert credential.cancellation.reason is None
        response = await made.ask(credential)
        assert response.status_code == 402
        assert "$0.01" in response.json()["error"]["message"]
        assert response.headers["x-should-retry"] == "false"
        assert credential.cancellation.reason == "cost_exceeded"
        assert len(made.endpoint.requests) == 1

    on_bench([message("dear", output_tokens=1000), message("never")], body)


def test_a_stopped_task_makes_no_further_call() -> None:
    async def body(made: Bench) -> None:
        credential = made.issue()
        credential.cancellation.cancel("cancelled")
        response = await made.ask(credential)
        assert (response.status_code, response.headers["x-should-retry"]) == (400, "false")
        assert made.endpoint.requests == []

    on_bench([message("never")], body)


def test_a_call_may_write_what_is_left_pays_for() -> None:
    async def body(made: Bench) -> None:
        credential = made.issue(max_cost=0.005)
        for _ in range(2):
            await made.ask(credential)
        await made.ask(made.issue(max_cost=5.0))
        await made.ask(made.issue(max_cost=0.000_000_1))
        await made.ask(made.issue(max_cost=0.005), model="some-local-model")
        # The first leaves 0.005 - 0.0001 USD: 490 tokens at 10 USD per million.
        assert [asked.body["max_tokens"] for asked in made.endpoint.requests] == [500, 490, 1000, 1, 1000]

    on_bench(lambda _: message("one", input_tokens=0, output_tokens=10), body)


def test_a_free_upstream_costs_nothing() -> None:
    async def body(made: Bench) -> None:
        credential = made.issue(max_cost=1e-9)
        for _ in range(2):
            response = await made.ask(credential, stream=True)
            assert events_in(response)[-1]["type"] == "message_stop"
        assert credential.usage.cost == 0
        assert credential.usage.input_tokens > 0
        assert credential.usage.output_tokens > 0
        count = await made.ask(credential, "/v1/messages/count_tokens")
        assert count.json()["input_tokens"] > 0

    on_bench([], body, spec="offline")


@pytest.mark.parametrize(
    "broken",
    [
        Cut(message(thinking("x" * 400), input_tokens=1000), 3),
        ErrorEvent(message(thinking("x" * 400), input_tokens=1000), 3, "overloaded_error", "busy"),
    ],
)
def test_a_stream_that_breaks_off_is_counted_and_told(broken: Cut | ErrorEvent) -> None:
    async def body(made: Bench) -> None:
        credential = made.issue()
        events = events_in(await made.ask(credential, stream=True))
        assert [event["type"] for event in events][-2:] == ["content_block_delta", "error"]
        assert credential.last_error is not None
        assert events[-1]["error"]["message"] == str(credential.last_error)
        # 1000 tokens of the prompt, and the 400 characters that arrived.
        assert_usage(credential, 1000, 100, 0.003)

    on_bench([broken], body)


def test_calls_side_by_side_are_all_counted() -> None:
    def answer(body: dict[str, Any]) -> dict[str, Any]:
        number = int(body["messages"][0]["content"])
        return message("x", tool("Read", file_path="y"), input_tokens=number, output_tokens=1)

    async def body(made: Bench) -> None:
        ours, other = made.issue(), made.issue()
        asks = [
            made.ask(ours, stream=bool(number % 2), messages=[{"role": "user", "content": str(number)}])
            for number in range(40)
        ]
        await asyncio.gather(*asks, made.ask(other, messages=[{"role": "user", "content": "7"}]))
        assert (ours.usage.input_tokens, ours.usage.output_tokens) == (sum(range(40)), 40)
        assert other.usage.input_tokens == 7

    on_bench(answer, body)


@pytest.mark.parametrize("stream", [True, False])
def test_an_agent_that_leaves_takes_its_call_along(stream: bool) -> None:
    async def body(made: Bench) -> None:
        asking = asyncio.create_task(made.ask(made.issue(), stream=stream))
        assert await asyncio.to_thread(made.endpoint.asked.wait, 5)
        asking.cancel()
        assert await asyncio.to_thread(made.endpoint.left.wait, 5)

    on_bench([Hang()], body)


def test_closing_does_not_wait_for_a_call_under_way() -> None:
    async def body(made: Bench) -> None:
        asking = asyncio.create_task(made.ask(made.issue(), stream=True))
        assert await asyncio.to_thread(made.endpoint.asked.wait, 5)
        async with asyncio.timeout(3):
            await made.proxy.aclose()
        (answer,) = await asyncio.gather(asking, return_exceptions=True)
        assert isinstance(answer, httpx.HTTPError) or (isinstance(answer, httpx.Response) and answer.is_error)

    on_bench([Hang()], body)


def test_an_upstream_that_is_not_there_is_named() -> None:
    async def body(made: Bench) -> None:
        response = await made.ask(made.issue())
        assert response.status_code == 502
        assert "http://127.0.0.1:9" in response.json()["error"]["message"]

    on_bench([], body, spec="http://127.0.0.1:9")
