"""Results of batches: one for each item, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import gc
import pickle
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import attrs
import pytest
from pytest_httpserver import HTTPServer
from support.clients.client_kinds import KEY, ClientKind
from support.servers import raw_http, responses
from support.servers.completion_server import completion_server
from support.servers.httpserver_script import respond

from claude_code_client import (
    AsyncClaudeClient,
    AuthenticationError,
    BatchProgress,
    ClaudeClient,
    ClosedError,
    ConfigurationError,
    InvalidRequestError,
    ServerError,
    TimeoutError,
)


def refuse(status: int, type_: str, *prompts: str) -> Any:
    """Return a script that refuses some prompts, or all."""
    refusal = raw_http.response(status, responses.error(type_))
    return lambda prompt, number: refusal if not prompts or prompt in prompts else None


def test_each_item_has_one_result(both: ClientKind) -> None:
    prompts = [f"Say {number}" for number in range(60)]
    with completion_server() as server:
        batch = both.client(server.base_url).map_completions(prompts)
        results = list(both.each(batch))
    assert sorted(result.index for result in results) == list(range(60))
    for result in results:
        assert result.ok
        assert result.item == prompts[result.index] == result.unwrap().content
        assert result.custom_id == str(result.index)
    assert set(server.runs.values()) == {1}
    assert batch.progress.done == batch.progress.total == 60
    assert batch.progress.eta == 0


@dataclass
class Question:
    prompt: str
    max_tokens: int | None = None


@attrs.frozen
class Reference:
    prompt: str
    custom_id: str


def test_usage_counts_each_item_once(both: ClientKind, tmp_path: Path) -> None:
    prompts = [str(number) for number in range(20)]
    with completion_server(cost=lambda prompt: 0.1) as server:
        client = both.client(server.base_url)
        for _ in range(2):  # the second time, from the file
            assert len(list(both.each(client.map_completions(prompts, results=tmp_path / "out.jsonl")))) == 20
    assert (client.usage.calls, client.usage.cost) == (20, pytest.approx(2.0))


def test_items_are_texts_dicts_and_dataclasses(both: ClientKind, httpserver: HTTPServer) -> None:
    requests = respond(httpserver, *[responses.COMPLETION] * 4)
    items = [
        "Text",
        {"messages": [{"role": "user", "content": "Dict"}], "max_tokens": 5},
        Question("Dataclass"),
        Reference("attrs", "mine"),
    ]
    client = both.client(httpserver.url_for("/v1"))
    results = list(both.each(client.map_completions(items, max_in_flight=1, max_tokens=9, model="haiku")))
    bodies = [request.get_json() for request in requests]
    assert [body["messages"][0]["content"] for body in bodies] == ["Text", "Dict", "Dataclass", "attrs"]
    assert [body["max_tokens"] for body in bodies] == [9, 5, 9, 9]
    assert {body["model"] for body in bodies} == {"haiku"}
    assert [result.custom_id for result in results] == ["0", "1", "2", "mine"]


def test_failed_items_do_not_affect_the_others(both: ClientKind) -> None:
    items: list[Any] = ["good", "bad", 7, {"prompt": "x", "nonsense": 1}, {"prompt": ""}, {"custom_id": 3}, "better"]
    with completion_server(script=refuse(400, "invalid_request_error", "bad")) as server:
        results = {each.index: each for each in both.each(both.client(server.base_url).map_completions(items))}
    assert [results[index].ok for index in range(7)] == [True, False, False, False, False, False, True]
    assert isinstance(results[1].error, InvalidRequestError)
    assert "not int" in str(results[2].error)
    assert results[3].error.param == "nonsense"
    assert results[4].error.param == "prompt"
    assert results[5].error.param == "custom_id"
    with pytest.raises(InvalidRequestError):
        results[1].unwrap()


def test_ordered_results_follow_the_items(both: ClientKind) -> None:
    def script(prompt: str, number: int) -> Any:
        # The first one is the last to finish.
        if prompt == "0" and not released.wait(10):
            return raw_http.response(500)
        released.set() if prompt == "11" else None
        return None

    released = threading.Event()
    with completion_server(script=script) as server:
        client = both.client(server.base_url)
        batch = client.map_completions([str(number) for number in range(40)], ordered=True)
        assert [result.item for result in both.each(batch)] == [str(number) for number in range(40)]


def test_first_failure_ends_a_batch_that_raises(both: ClientKind) -> None:
    with completion_server(script=refuse(400, "invalid_request_error", "7")) as server:
        client = both.client(server.base_url)
        batch = client.map_completions((str(number) for number in range(10**6)), on_error="raise")
        seen = []
        with pytest.raises(InvalidRequestError) as caught:
            seen += [result.index for result in both.each(batch)]
        assert "Item 7 (7) of map_completions()." in caught.value.__notes__
    assert sum(server.runs.values()) < 200


def test_refused_key_ends_every_batch(both: ClientKind) -> None:
    with completion_server(script=refuse(401, "authentication_error")) as server:
        client = both.client(server.base_url)
        with pytest.raises(AuthenticationError):
            list(both.each(client.map_completions(["x"] * 1000)))
    assert server.requests["x"] < 64


@pytest.mark.slow
def test_items_are_read_as_there_is_room(both: ClientKind) -> None:
    read = 0

    def items() -> Iterator[str]:
        nonlocal read
        for number in range(10**6):
            read += 1
            yield str(number)

    with completion_server() as server:
        client = both.client(server.base_url)
        for taken, _ in enumerate(both.each(client.map_completions(items(), max_in_flight=4)), 1):
            assert read - taken <= 64 + 1
            if taken == 200:
                break


def test_exception_of_the_items_comes_after_their_results(both: ClientKind) -> None:
    def items() -> Iterator[str]:
        yield from ("a", "b", "c")
        raise LookupError("no more")

    with completion_server() as server:
        results = both.each(both.client(server.base_url).map_completions(items()))
        assert sorted(next(results).item for _ in range(3)) == ["a", "b", "c"]
        with pytest.raises(LookupError, match="no more"):
            next(results)


def test_leaving_the_loop_ends_the_batch(both: ClientKind) -> None:
    with completion_server() as server:
        client = both.client(server.base_url)
        batch = client.map_completions(str(number) for number in range(10**6))
        for result in both.each(batch):
            assert result.ok
            break
        if both.kind == "sync":
            batch.close()
        assert list(both.each(batch)) == []
        assert [thread for thread in threading.enumerate() if "batch" in thread.name] == []
    assert sum(server.runs.values()) < 200


def test_dropped_batch_ends() -> None:
    with completion_server() as server, ClaudeClient(KEY, server.base_url) as client:
        for _ in client.map_completions(str(number) for number in range(10**6)):
            break
        gc.collect()
        assert [thread for thread in threading.enumerate() if "batch" in thread.name] == []


def test_closing_the_client_ends_the_batch(both: ClientKind) -> None:
    with completion_server() as server:
        client = both.client(server.base_url)
        batch = both.each(client.map_completions(str(number) for number in range(10**6)))
        assert next(batch).ok
        both.call(client.close())
        with pytest.raises(ClosedError):
            list(batch)


def test_closed_client_takes_no_batch(both: ClientKind) -> None:
    client = both.client("http://127.0.0.1:9/v1")
    both.call(client.close())
    with pytest.raises(ConfigurationError):
        list(both.each(client.map_completions(["a"])))


@pytest.mark.slow
def test_deadline_ends_the_batch(both: ClientKind) -> None:
    stopped = threading.Event()

    def script(prompt: str, number: int) -> Any:
        if int(prompt) >= 6:
            stopped.wait(10)

    with completion_server(script=script) as server:
        client = both.client(server.base_url)
        batch = client.map_completions((str(number) for number in range(10**6)), deadline=0.7)
        results = list(both.each(batch))
        stopped.set()
    failed = [result for result in results if not result.ok]
    assert len(results) - len(failed) >= 6
    assert failed
    assert {type(result.error) for result in failed} == {TimeoutError}


def test_server_errors_are_collected_after_the_retries(both: ClientKind, short_backoff: None) -> None:
    with completion_server(script=refuse(500, "server_error", "bad")) as server:
        client = both.client(server.base_url, max_retries=2)
        results = {each.item: each for each in both.each(client.map_completions(["good", "bad"]))}
    assert isinstance(results["bad"].error, ServerError)
    assert results["bad"].error.attempts == server.requests["bad"] == 3
    assert results["bad"].error.__traceback__ is None


def test_progress_is_reported(both: ClientKind) -> None:
    reports: list[BatchProgress] = []
    with completion_server(cost=lambda prompt: 0.5, script=refuse(400, "invalid_request_error", "bad")) as server:
        client = both.client(server.base_url)
        list(both.each(client.map_completions(["a", "bad", "c"], progress=reports.append)))
    last = reports[-1]
    assert (last.total, last.done, last.failed, last.cost, last.in_flight) == (3, 3, 1, 1.0, 0)


def test_exception_of_the_progress_function_ends_the_batch(both: ClientKind) -> None:
    def fail(progress: BatchProgress) -> None:
        raise LookupError("display")

    with completion_server() as server:
        client = both.client(server.base_url)
        with pytest.raises(LookupError, match="display"):
            list(both.each(client.map_completions([str(number) for number in range(100)], progress=fail)))


def test_tasks_that_fail_are_not_ok(both: ClientKind, httpserver: HTTPServer) -> None:
    respond(httpserver, responses.task(), responses.task("failed", error={"type": "server_error", "message": "No."}))
    client = both.client(httpserver.url_for("/v1"))
    batch = client.map_tasks(["Count", "Count"], max_in_flight=1, allow_tools=["Bash"], max_cost=0.1)
    results = list(both.each(batch))
    assert [result.ok for result in results] == [True, False]
    assert [result.response.status for result in results] == ["completed", "failed"]
    assert batch.progress.failed == 1
    assert batch.progress.cost == 1.0


def test_asynchronous_items() -> None:
    async def items() -> AsyncIterator[str]:
        for number in range(20):
            await asyncio.sleep(0)
            yield str(number)

    async def run() -> list[str]:
        async with AsyncClaudeClient(KEY, server.base_url) as client, client.map_completions(items()) as batch:
            return [result.unwrap().content async for result in batch]

    with completion_server() as server:
        assert sorted(asyncio.run(run()), key=int) == [str(number) for number in range(20)]


def test_cancelled_coroutine_ends_the_batch(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        async with AsyncClaudeClient(KEY, server.base_url) as client:
            begun = asyncio.Event()

            async def read() -> None:
                async for _ in client.map_completions(str(number) for number in range(10**6)):
                    begun.set()

            reader = asyncio.create_task(read())
            await begun.wait()
            reader.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await reader
            assert "was stopped after" in caught.value.__notes__[0]
            assert len(asyncio.all_tasks()) == 1

    with completion_server() as server:
        asyncio.run(run())
    assert "Pass results=PATH" in caplog.text


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"max_in_flight": 0}, "max_in_flight"),
        ({"on_error": "ignore"}, "on_error"),
        ({"budget": -1}, "budget"),
        ({"deadline": 0}, "deadline"),
        ({"results": 5}, "results"),
        ({"progress": "yes"}, "progress"),
        ({"items": "one text"}, "items"),
        ({"items": {"prompt": "one dict"}}, "items"),
    ],
)
def test_invalid_arguments(both: ClientKind, options: dict[str, Any], param: str) -> None:
    with pytest.raises((ConfigurationError, InvalidRequestError)) as caught:
        both.client("http://127.0.0.1:9/v1").map_completions(**{"items": [], **options})
    assert caught.value.param == param


def test_batches_are_not_pickled_but_results_are(both: ClientKind) -> None:
    with completion_server() as server:
        batch = both.client(server.base_url).map_completions(["a"])
        with pytest.raises(ConfigurationError):
            pickle.dumps(batch)
        [result] = both.each(batch)
        assert pickle.loads(pickle.dumps(result)) == result
