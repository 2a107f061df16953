"""Results files: on the disk before the caller has a result, mended after a crash, gone on from."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from support.clients.client_kinds import ClientKind
from support.servers import raw_http, responses
from support.servers.completion_server import completion_server
from support.servers.httpserver_script import respond

from claude_code_client import ConfigurationError, CostExceededError, InvalidRequestError, RateLimitError

PROMPTS = [f"Say {number}" for number in range(30)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_second_call_reads_the_file(both: ClientKind, path: Path) -> None:
    with completion_server() as server:
        client = both.client(server.base_url)
        first = list(both.each(client.map_completions(PROMPTS, results=path)))
        second = list(both.each(client.map_completions(PROMPTS, results=path, ordered=True)))
    assert set(server.requests.values()) == {1}
    assert [result.index for result in second] == list(range(30))
    assert all(result.resumed for result in second)
    by_index = {result.index: result for result in first}
    for result in second:
        assert result.response == by_index[result.index].response
        assert result.idempotency_key == by_index[result.index].idempotency_key
    assert len(lines(path)) == 30
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o600


def test_results_are_in_the_file_before_they_are_yielded(both: ClientKind, path: Path) -> None:
    with completion_server() as server:
        client = both.client(server.base_url)
        for result in both.each(client.map_completions(PROMPTS, results=path)):
            assert result.idempotency_key in path.read_text()


def test_lines_have_the_shape_that_batch_formats_share(both: ClientKind, path: Path) -> None:
    items = [{"prompt": "good", "custom_id": "a"}, {"prompt": "bad", "custom_id": "b"}]
    refusal = raw_http.response(400, responses.error("invalid_request_error", "Not this."))
    script = lambda prompt, number: refusal if prompt == "bad" else None  # noqa: E731
    with completion_server(script=script, cost=lambda prompt: 0.25) as server:
        list(both.each(both.client(server.base_url).map_completions(items, results=path)))
    good, bad = sorted(lines(path), key=lambda line: line["index"])
    assert (good["custom_id"], good["error"], good["cost"]) == ("a", None, 0.25)
    assert good["response"]["content"] == "good"
    assert good["response"]["usage"]["cost"] == 0.25
    assert (bad["custom_id"], bad["response"], bad["cost"]) == ("b", None, 0.0)
    assert bad["error"]["message"] == "Not this."
    assert bad["error"]["status_code"] == 400
    # The prompts stay where they are.
    assert "messages" not in path.read_text()


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_torn_last_line_is_mended_and_its_item_run_with_its_key(both: ClientKind, path: Path, cut: int) -> None:
    with completion_server() as server:
        client = both.client(server.base_url)
        list(both.each(client.map_completions(PROMPTS, results=path)))
        whole = path.read_bytes()
        path.write_bytes(whole[:-cut])
        results = list(both.each(client.map_completions(PROMPTS, results=path)))
    assert len(results) == 30
    assert [result.resumed for result in results].count(False) == 1
    # The server has seen the key: it has not run the item again.
    assert set(server.runs.values()) == {1}
    assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_batch_without_a_result_keeps_its_keys(both: ClientKind, path: Path) -> None:
    gate = threading.Event()

    def script(prompt: str, number: int) -> Any:
        return raw_http.response(429, responses.error("rate_limit_error")) if not gate.is_set() else None

    with completion_server(script=script) as server:
        client = both.client(server.base_url, max_retries=0)
        first = list(both.each(client.map_completions(PROMPTS, results=path)))
        assert {type(result.error) for result in first} == {RateLimitError}
        assert path.read_bytes() == b""
        gate.set()
        second = list(both.each(client.map_completions(PROMPTS, results=path)))
    assert all(result.ok and not result.resumed for result in second)
    assert {each.idempotency_key for each in first} == {each.idempotency_key for each in second}


def test_failures_that_may_pass_are_run_again(both: ClientKind, path: Path) -> None:
    refusals = {"busy": raw_http.response(503, responses.error("overloaded_error"))}
    refusals["wrong"] = raw_http.response(400, responses.error("invalid_request_error"))
    with completion_server(script=lambda prompt, number: refusals.get(prompt)) as server:
        client = both.client(server.base_url, max_retries=0)
        list(both.each(client.map_completions(["a", "busy", "wrong"], results=path)))
        del refusals["busy"], refusals["wrong"]
        again = {each.item: each for each in both.each(client.map_completions(["a", "busy", "wrong"], results=path))}
    assert again["busy"].ok
    assert isinstance(again["wrong"].error, InvalidRequestError)
    assert again["wrong"].resumed
    assert server.requests == {"a": 1, "busy": 2, "wrong": 1}


def test_equal_items_are_distinct(both: ClientKind, path: Path) -> None:
    with completion_server() as server:
        results = list(both.each(both.client(server.base_url).map_completions(["same"] * 10, results=path)))
    assert server.runs["same"] == len({result.idempotency_key for result in results}) == 10


def test_two_batches_share_no_keys(both: ClientKind, tmp_path: Path) -> None:
    with completion_server() as server:
        client = both.client(server.base_url)
        for results in (tmp_path / "one", tmp_path / "two", None, None):
            list(both.each(client.map_completions(["same"], results=results)))
    assert server.runs["same"] == 4


@pytest.mark.parametrize("change", ["item", "parameter", "method"])
def test_file_of_other_items_is_refused(both: ClientKind, path: Path, change: str) -> None:
    with completion_server() as server:
        client = both.client(server.base_url)
        list(both.each(client.map_completions(["a", "b"], results=path)))
        before = path.read_bytes()
        batch = {
            "item": lambda: client.map_completions(["a", "c"], results=path),
            "parameter": lambda: client.map_completions(["a", "b"], results=path, model="opus"),
            "method": lambda: client.map_tasks(["a", "b"], results=path),
        }[change]()
        with pytest.raises(ConfigurationError, match="differs from the one whose result is in"):
            list(both.each(batch))
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"my notes\n", b"my notes", b'{"index": 0}\n', b"\n", b"\xff\n"])
def test_file_of_somebody_else_is_refused_unchanged(both: ClientKind, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="line 1 is not a line of a results file"):
        list(both.each(both.client("http://127.0.0.1:9/v1").map_completions(["a"], results=path)))
    assert path.read_bytes() == content


def test_file_that_cannot_be_opened_is_refused(both: ClientKind, tmp_path: Path) -> None:
    client = both.client("http://127.0.0.1:9/v1")
    with pytest.raises(ConfigurationError, match="No such file or directory") as caught:
        list(both.each(client.map_completions(["a"], results=tmp_path / "missing" / "out.jsonl")))
    assert caught.value.param == "results"


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to(os.devnull)], ids=["pipe", "device"])
def test_what_keeps_no_results_is_refused(both: ClientKind, path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    with (
        completion_server() as server,
        pytest.raises(ConfigurationError, match=r"Cannot use the results file .* Pass the path of a new file"),
    ):
        list(both.each(both.client(server.base_url).map_completions(PROMPTS, results=path)))
    assert not server.runs


def test_two_batches_do_not_write_one_file(both: ClientKind, path: Path) -> None:
    with completion_server() as server:
        client = both.client(server.base_url)
        batch = client.map_completions((str(number) for number in range(10**6)), results=path)
        results = both.each(batch)
        assert next(results).ok
        with pytest.raises(ConfigurationError, match="Another batch is writing"):
            list(both.each(client.map_completions(["a"], results=path)))
        both.call(batch.close() if both.kind == "sync" else batch.aclose())
        assert list(results) == []


def test_full_disk_ends_the_batch(both: ClientKind, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(file: int, data: bytes) -> int:
        if os.fstat(file).st_ino == path.stat().st_ino:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data)

    real = os.write
    monkeypatch.setattr(os, "write", write)
    with completion_server() as server, pytest.raises(ConfigurationError, match="No space left on device"):
        list(both.each(both.client(server.base_url).map_completions(PROMPTS, results=path)))


def test_results_of_tasks_come_back_whole(both: ClientKind, httpserver: HTTPServer, path: Path) -> None:
    artifact = {"id": "art_1", "type": "file", "path": "a.md", "size_bytes": 3, "sha256": "0" * 64, "created_at": ""}
    exceeded = responses.task("cost_exceeded", error={"type": "cost_exceeded_error", "message": "Too much."})
    requests = respond(httpserver, responses.task(artifacts=[artifact], brand_new=[1]), exceeded)
    client = both.client(httpserver.url_for("/v1"))
    items = ["Count", "Count more"]
    first = list(both.each(client.map_tasks(items, max_in_flight=1, results=path, ordered=True)))
    second = list(both.each(client.map_tasks(items, max_in_flight=1, results=path, ordered=True)))
    assert len(requests) == 2
    assert first[0].response == second[0].response
    assert second[0].response.artifacts[0].path == "a.md"
    assert second[0].response.extra == {"brand_new": [1]}
    for each in (first[1], second[1]):
        assert isinstance(each.error, CostExceededError)
        assert each.cost == 0.5
    assert second[1].error.task_id == "task_1"
