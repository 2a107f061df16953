"""The response cache: which completions it answers, and what it does when its file is old, full, damaged or shared."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import resource
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from support.clients.client_kinds import KEY, ClientKind, open_client_kind
from support.servers import responses
from support.servers.forked_local import forked_local_servers
from support.servers.httpserver_script import respond
from support.servers.responses import COMPLETION

from claude_code_client import ClaudeClient, CompletionResponse, ConfigurationError, ResponseCache

QUESTION: dict[str, Any] = {"prompt": "A secret question", "model": "haiku", "max_tokens": 9, "temperature": 0.5}
LIMITS = {"X-RateLimit-Limit": "100", "X-Request-Id": "req_9"}


@pytest.fixture
def cache(tmp_path: Path) -> ResponseCache:
    return ResponseCache(tmp_path / "cache")


def file_of(cache: ResponseCache) -> Path:
    (found,) = cache.directory.glob("*.db")
    return found


def replies(*ids: str, **fields: Any) -> list[dict[str, Any]]:
    return [{**COMPLETION, "id": name, **fields} for name in ids]


def test_equal_completion_is_answered_from_the_cache(
    both: ClientKind, httpserver: HTTPServer, base_url: str, cache: ResponseCache
) -> None:
    unknown = {"new": {"deep": [1, None]}, "stop_reason": "a_newer_reason"}
    requests = respond(httpserver, (200, {**COMPLETION, **unknown}, LIMITS))
    client = both.client(base_url, cache=cache)
    first = both.call(client.complete(**QUESTION))
    again = both.call(client.complete(**QUESTION))
    assert len(requests) == 1
    assert (first.cached, again.cached) == (False, True)
    assert again == first
    assert again.to_dict() == first.to_dict()
    assert (first.request_id, again.request_id, again.rate_limit) == ("req_9", None, None)


def test_there_is_no_cache_by_default(both: ClientKind, httpserver: HTTPServer, base_url: str) -> None:
    requests = respond(httpserver, *replies("a", "b"))
    client = both.client(base_url)
    assert [both.call(client.complete("x")).cached for _ in range(2)] == [False, False]
    assert len(requests) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "Another question"},
        {"prompt": None, "messages": [{"role": "assistant", "content": "A secret question"}]},
        {"model": "sonnet"},
        {"model": None},
        {"max_tokens": 10},
        {"temperature": None},
        {"top_p": 0.5},
        {"stop": ["."]},
        {"extra_body": {"seed": 1}},
        {"extra_headers": {"X-Variant": "b"}},
    ],
    ids=str,
)
def test_each_parameter_is_part_of_the_key(
    httpserver: HTTPServer, base_url: str, cache: ResponseCache, change: dict[str, Any]
) -> None:
    requests = respond(httpserver, *replies("a", "b"))
    with ClaudeClient(KEY, base_url, cache=cache) as client:
        ids = [client.complete(**each).id for each in (QUESTION, {**QUESTION, **change}, QUESTION)]
    assert ids == ["a", "b", "a"]
    assert len(requests) == 2


def test_headers_and_url_of_the_client_are_part_of_the_key_and_credentials_are_not(
    httpserver: HTTPServer, base_url: str, cache: ResponseCache
) -> None:
    respond(httpserver, *replies("a", "b", "c"))
    options: list[dict[str, Any]] = [
        {},
        {"headers": {"X-Variant": "b"}},
        {"base_url": f"{base_url}/tenant"},
        {"headers": {"X-Auth-Token": "secret"}, "timeout": 9},
        {"api_key": "sk-proj-other"},
    ]
    ids = []
    for each in options:
        with ClaudeClient(**{"api_key": KEY, "base_url": base_url, "cache": cache, **each}) as client:
            ids.append(client.complete("x").id)
    assert ids == ["a", "b", "c", "a", "a"]


def test_prompt_is_a_conversation_of_one_message(
    both: ClientKind, httpserver: HTTPServer, base_url: str, cache: ResponseCache
) -> None:
    respond(httpserver, COMPLETION)
    client = both.client(base_url, cache=cache)
    both.call(client.complete("x"))
    assert both.call(client.complete(messages=[{"content": "x", "role": "user"}])).cached


def test_call_with_an_idempotency_key_of_its_own_is_not_cached(
    both: ClientKind, httpserver: HTTPServer, base_url: str, cache: ResponseCache
) -> None:
    requests = respond(httpserver, *replies("a", "b", "c"))
    client = both.client(base_url, cache=cache)
    ids = [both.call(client.complete("x", idempotency_key=key)).id for key in (None, "k", "k", None)]
    assert ids == ["a", "b", "c", "a"]
    assert len(requests) == 3


def test_items_of_batches_are_cached(
    both: ClientKind, httpserver: HTTPServer, base_url: str, cache: ResponseCache, tmp_path: Path
) -> None:
    requests = respond(httpserver, *replies("a", "b", "c"))
    client = both.client(base_url, cache=cache)
    both.call(client.complete("x"))
    items = ["x", "y", {"prompt": "x", "idempotency_key": "k"}]
    path = tmp_path / "out.jsonl"
    batch = client.map_completions(items, ordered=True, max_in_flight=1, results=path)
    assert [(each.response.id, each.cost) for each in both.each(batch)] == [("a", 0.0), ("b", 0.25), ("c", 0.25)]
    assert both.call(client.complete("y")).cached
    assert (len(requests), client.usage.calls) == (3, 3)
    # The results file has what came from the cache too, and what it has cost.
    again = client.map_completions(items, ordered=True, max_in_flight=1, results=path)
    first = list(both.each(again))[0]  # noqa: RUF015 (the others are read too)
    assert (first.response.id, first.cost, first.resumed) == ("a", 0.0, True)


def test_tasks_are_not_cached(both: ClientKind, httpserver: HTTPServer, base_url: str, cache: ResponseCache) -> None:
    requests = respond(httpserver, (200, responses.task()), (200, responses.task()))
    client = both.client(base_url, cache=cache)
    for _ in range(2):
        both.call(client.execute_task("x"))
    assert sum(request.method == "POST" for request in requests) == 2
    assert list(cache.directory.iterdir()) == []


def test_stream_yields_the_whole_text_and_then_the_completion(
    both: ClientKind, httpserver: HTTPServer, base_url: str, cache: ResponseCache
) -> None:
    deltas = [responses.event(n, "text_delta", text=text) for n, text in enumerate(("Python is ", "a language."))]
    respond(httpserver, responses.event_stream(*deltas, responses.event(3, "completion", completion=COMPLETION)))
    seen: list[str] = []
    client = both.client(
        base_url, cache=cache, on_event=None if both.kind == "async" else lambda e: seen.append(e.type)
    )
    *_, first = both.each(client.stream_complete("x"))
    text, again = both.each(client.stream_complete("x"))
    assert text == first.content == "Python is a language."
    assert again == first
    assert (first.cached, again.cached) == (False, True)
    whole = both.call(client.complete("x"))
    assert (whole, whole.cached) == (first, True)
    assert seen in ([], ["text_delta", "text_delta", "completion", "text_delta", "completion"])


def test_stream_without_text_yields_the_completion_only(
    both: ClientKind, httpserver: HTTPServer, base_url: str, cache: ResponseCache
) -> None:
    respond(httpserver, {**COMPLETION, "content": []})
    client = both.client(base_url, cache=cache)
    both.call(client.complete("x"))
    (only,) = both.each(client.stream_complete("x"))
    assert isinstance(only, CompletionResponse)
    assert only.cached


def test_reply_from_the_cache_costs_nothing(
    both: ClientKind, httpserver: HTTPServer, base_url: str, cache: ResponseCache
) -> None:
    requests = respond(httpserver, COMPLETION)
    client = both.client(base_url, cache=cache)
    paid = both.call(client.complete("x"))
    before = client.usage
    other = both.client(base_url, cache=cache)
    with other.budget(0.01) as budget:
        assert both.call(other.complete("x")).usage == paid.usage
        assert list(both.each(other.stream_complete("x")))[-1].cached
        assert budget.spent == budget.reserved == 0
    assert (other.usage.calls, other.usage.cost) == (0, 0.0)
    both.call(client.complete("x"))
    assert client.usage == before
    assert len(requests) == 1  # the prices were not fetched either


@pytest.mark.usefixtures("short_backoff")
def test_failed_completion_is_not_stored(
    both: ClientKind, httpserver: HTTPServer, base_url: str, cache: ResponseCache
) -> None:
    respond(httpserver, (400, responses.error("invalid_request_error")), COMPLETION)
    client = both.client(base_url, cache=cache)
    with pytest.raises(Exception, match="No"):
        both.call(client.complete("x"))
    assert not both.call(client.complete("x")).cached


def test_old_replies_are_not_used_and_are_deleted(
    both: ClientKind, httpserver: HTTPServer, base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    respond(httpserver, *replies("a", "b", "c", "d"))
    cache = ResponseCache(tmp_path, max_age=60)
    client = both.client(base_url, cache=cache)
    now = time.time()

    def ask(after: float, prompt: str = "x") -> str:
        monkeypatch.setattr(time, "time", lambda: now + after)
        return str(both.call(client.complete(prompt)).id)

    assert [ask(0), ask(59), ask(61)] == ["a", "a", "b"]
    assert ask(200, "y") == "c"
    with sqlite3.connect(file_of(cache)) as connection:
        assert connection.execute("SELECT count(*) FROM responses").fetchone() == (1,)
    connection.close()
    assert ask(100, "y") == "d"  # the clock was set back by more than the age


@pytest.mark.slow
def test_oldest_replies_make_room(httpserver: HTTPServer, base_url: str, tmp_path: Path) -> None:
    names = [f"r{number}" for number in range(60)]
    respond(httpserver, *replies(*names, content="x" * 3000), *replies("again"))
    cache = ResponseCache(tmp_path, max_bytes=2**16)
    with ClaudeClient(KEY, base_url, cache=cache) as client:
        for name in names:
            client.complete(name)
            assert file_of(cache).stat().st_size <= 2**16
        assert client.complete(names[-1]).cached
        assert client.complete(names[-5]).cached
        assert client.complete(names[0]).id == "again"


def test_reply_that_is_larger_than_the_cache_is_returned(httpserver: HTTPServer, base_url: str, tmp_path: Path) -> None:
    respond(httpserver, *replies("a", "b", content="x" * 2**17))
    with ClaudeClient(KEY, base_url, cache=ResponseCache(tmp_path, max_bytes=2**16)) as client:
        assert [client.complete("x").id for _ in range(2)] == ["a", "b"]


def test_file_is_private_and_has_neither_key_nor_prompt(
    both: ClientKind, httpserver: HTTPServer, base_url: str, cache: ResponseCache
) -> None:
    respond(httpserver, *replies("a", "b"))
    client = both.client(base_url, cache=cache, headers={"X-Auth-Token": "tok-secret"})
    both.call(client.complete(**QUESTION))
    assert stat.S_IMODE(cache.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(file_of(cache).stat().st_mode) == 0o600
    file_of(cache).chmod(0o644)
    both.call(client.complete("another"))
    assert stat.S_IMODE(file_of(cache).stat().st_mode) == 0o600
    (found,) = [path.read_bytes() for path in cache.directory.iterdir()]
    assert b"a language" in found
    for secret in (KEY, "secret question", "tok-secret"):
        assert secret.encode() not in found


def overwritten(file: Path) -> None:
    file.write_bytes(b"not a database" * 1000)


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def deleted(file: Path) -> None:
    file.unlink()
    file.parent.rmdir()


@pytest.mark.parametrize("damage", [overwritten, emptied, cut, deleted])
def test_damaged_file_is_replaced(
    both: ClientKind,
    httpserver: HTTPServer,
    base_url: str,
    cache: ResponseCache,
    damage: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    respond(httpserver, *replies("a", "b", "c", content="x" * 9000))
    client = both.client(base_url, cache=cache)
    both.call(client.complete("x"))
    damage(file_of(cache))
    with caplog.at_level(logging.WARNING, "claude_code_client"):
        ids = [both.call(client.complete("x")).id for _ in range(3)]
    assert ids == ["b", "b", "b"]
    assert ("response cache" in caplog.text) is (damage is not deleted)
    assert stat.S_IMODE(file_of(cache).stat().st_mode) == 0o600


@pytest.mark.parametrize("column", ["digest", "body", "stored"])
def test_damaged_entry_is_ignored(
    both: ClientKind, httpserver: HTTPServer, base_url: str, cache: ResponseCache, column: str
) -> None:
    respond(httpserver, *replies("a", "b"))
    client = both.client(base_url, cache=cache)
    both.call(client.complete("x"))
    with sqlite3.connect(file_of(cache)) as connection:
        connection.execute(f"UPDATE responses SET {column} = 'nonsense'")
    connection.close()
    assert [both.call(client.complete("x")).id for _ in range(2)] == ["b", "b"]


def test_paid_reply_is_returned_when_the_cache_cannot_be_written(
    both: ClientKind, httpserver: HTTPServer, base_url: str, cache: ResponseCache, caplog: pytest.LogCaptureFixture
) -> None:
    respond(httpserver, *replies("a", "b"))
    client = both.client(base_url, cache=cache)
    cache.directory.rmdir()
    cache.directory.write_text("a file in place of the directory")
    with caplog.at_level(logging.WARNING, "claude_code_client"):
        assert [both.call(client.complete("x")).id for _ in range(2)] == ["a", "b"]
    assert "Cannot write to the response cache" in caplog.text


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow further, as on a full disk. (Python ignores the signal.)"""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk_loses_no_reply(
    both: ClientKind, httpserver: HTTPServer, base_url: str, cache: ResponseCache, caplog: pytest.LogCaptureFixture
) -> None:
    respond(httpserver, *replies("a"), *replies("b", "c", content="x" * 60_000))
    client = both.client(base_url, cache=cache)
    both.call(client.complete("x"))
    with caplog.at_level(logging.WARNING, "claude_code_client"), largest_file(40_000):
        ids = [both.call(client.complete(prompt)).id for prompt in ("y", "x")]
    assert ids == ["b", "a"]
    assert "Cannot write to the response cache" in caplog.text
    assert [both.call(client.complete("y")).id for _ in range(2)] == ["c", "c"]


def test_other_writer_delays_a_call_only_briefly(
    both: ClientKind, httpserver: HTTPServer, base_url: str, cache: ResponseCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claude_code_client._files.cache_database._BUSY_TIMEOUT", 0.01)
    respond(httpserver, *replies("a", "b"))
    client = both.client(base_url, cache=cache)
    both.call(client.complete("x"))
    writer = sqlite3.connect(file_of(cache), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert both.call(client.complete("y")).id == "b"
    assert both.call(client.complete("x")).cached  # readers need not wait
    writer.close()


@pytest.mark.slow
def test_processes_share_a_cache(httpserver: HTTPServer, base_url: str, cache: ResponseCache) -> None:
    requests = respond(httpserver, *replies(*(str(number) for number in range(40))))
    program = dedent("""
        import logging, sys
        from claude_code_client import ClaudeClient, ResponseCache
        logging.basicConfig(level="WARNING")
        with ClaudeClient(sys.argv[1], sys.argv[2], cache=ResponseCache(sys.argv[3])) as client:
            for number in range(20):
                client.complete(f"question {number}")
    """)
    command = [sys.executable, "-c", program, KEY, base_url, str(cache.directory)]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate(timeout=50)[1] for process in started] == [b"", b""]
    sent = len(requests)
    assert 20 <= sent <= 40
    with ClaudeClient(KEY, base_url, cache=ResponseCache(cache.directory)) as client:
        assert all(client.complete(f"question {number}").cached for number in range(20))
    assert len(requests) == sent


def test_copies_and_pickles_share_the_cache(
    both: ClientKind, httpserver: HTTPServer, base_url: str, cache: ResponseCache
) -> None:
    requests = respond(httpserver, COMPLETION)
    client = both.client(base_url, cache=cache)
    both.call(client.complete("x"))
    others = [pickle.loads(pickle.dumps(client)), copy.copy(client), client.with_options(timeout=9)]
    assert all(both.call(both.keep(other).complete("x")).cached for other in others)
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("options", "param"),
    [({"max_bytes": 1000}, "max_bytes"), ({"max_bytes": 1e9}, "max_bytes"), ({"max_age": 0}, "max_age")],
)
def test_invalid_arguments_are_named(tmp_path: Path, options: dict[str, Any], param: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        ResponseCache(tmp_path, **options)
    assert raised.value.param == param


def test_unusable_directory_is_refused(both: ClientKind, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "file" / "below", "a\0b", 5):
        with pytest.raises(ConfigurationError, match="directory"):
            ResponseCache(directory)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="cache must be a ResponseCache, not PosixPath"):
        both.client("http://127.0.0.1:9/v1", cache=tmp_path)


@pytest.mark.slow
def test_cache_outlives_an_embedded_server(cache: ResponseCache, tmp_path: Path) -> None:
    def ask(kind: str, model: str) -> bool:
        with open_client_kind(kind) as both:
            client = both.local(tmp_path, upstream="offline", model=model, cache=cache)
            return bool(both.call(client.complete("What is Python?", max_tokens=20)).cached)

    with forked_local_servers():
        assert [ask("sync", "haiku"), ask("async", "haiku"), ask("async", "sonnet")] == [False, True, False]


def test_file_has_json_and_nothing_to_unpickle(httpserver: HTTPServer, base_url: str, cache: ResponseCache) -> None:
    respond(httpserver, COMPLETION)
    with ClaudeClient(KEY, base_url, cache=cache) as client:
        completion = client.complete("x")
    with sqlite3.connect(file_of(cache)) as connection:
        ((body,),) = connection.execute("SELECT body FROM responses").fetchall()
    connection.close()
    assert json.loads(body) == completion.to_dict()
