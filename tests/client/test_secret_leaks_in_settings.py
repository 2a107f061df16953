"""Marked keys and prompts in arguments and settings, which no error, representation or log may show."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.canaries import (
    CONTEXT,
    HEADERS,
    KEY,
    MARK,
    PROMPT,
    SECRET,
    TURNS,
    open_client,
    outcome,
    recorded_logs,
    shown,
)
from support.clients.client_kinds import ClientKind

from claude_code_client import errors


@pytest.fixture(autouse=True)
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    with recorded_logs() as written:
        yield written


ARGUMENTS: dict[str, Callable[[Any], Any]] = {
    "temperature": lambda client: client.complete(PROMPT, temperature=9),
    "prompt": lambda client: client.complete(f"{PROMPT} \ud800"),
    "prompt and messages": lambda client: client.complete(PROMPT, messages=TURNS),
    "role": lambda client: client.complete(messages=[{"role": PROMPT, "content": PROMPT}]),
    "message": lambda client: client.complete(messages=[PROMPT]),
    "stop": lambda client: client.complete(PROMPT, stop=PROMPT),
    "timeout": lambda client: client.complete(PROMPT, timeout=-1),
    "idempotency_key": lambda client: client.complete(PROMPT, idempotency_key=f"{PROMPT} x"),
    "max_tokens": lambda client: client.stream_complete(PROMPT, max_tokens=0),
    "max_cost": lambda client: client.execute_task(PROMPT, max_cost=-1, context=CONTEXT),
    "allow_tools": lambda client: client.execute_task(PROMPT, PROMPT),
    "context": lambda client: client.execute_task(PROMPT, context={**CONTEXT, "x": {PROMPT}}),
    "context surrogate": lambda client: client.stream_task(PROMPT, context={PROMPT: f"{PROMPT} \ud800"}),
    "task_id": lambda client: client.get_task(f"{PROMPT}\n"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_invalid_argument_leaks_nothing(both: ClientKind, logs: io.StringIO, name: str) -> None:
    client = open_client(both, "http://127.0.0.1:9")
    result = outcome(both, lambda: ARGUMENTS[name](client))
    assert isinstance(result, errors.InvalidRequestError | errors.ConfigurationError)
    assert MARK not in shown(result)
    assert MARK not in logs.getvalue()


def test_unknown_argument_leaks_nothing(both: ClientKind) -> None:
    client = open_client(both, "http://127.0.0.1:9")
    result = outcome(both, lambda: client.complete(PROMPT, nonsense=PROMPT))
    assert isinstance(result, TypeError)
    assert MARK not in shown(result)


SETUPS: dict[str, dict[str, Any]] = {
    "swapped": {"api_key": "https://a.example", "base_url": KEY},
    "key in the URL": {"base_url": f"https://a.example/v1?key={KEY}"},
    "key in a broken URL": {"base_url": f"https://[{KEY}"},
    "key as port": {"base_url": f"https://a.example:{KEY}"},
    "key as password": {"base_url": f"https://user:{KEY}@a.example"},
    "clear text": {"base_url": "http://a.example/v1"},
    "timeout": {"timeout": -1},
    "key as retries": {"max_retries": KEY},
    "key as timeout": {"timeout": KEY},
    "line break in a key": {"api_key": f"{KEY}\n{KEY}"},
    "line break in a header": {"headers": {"X-Token": f"{SECRET}\n{SECRET}"}},
    "header that is no name": {"headers": {f"{SECRET} {SECRET}": "x"}},
    "headers that are a text": {"headers": KEY},
    "host with an empty label": {"base_url": "https://a..example"},
    "host that IDNA refuses": {"base_url": "https://xn--.example"},
    "host of unprintable characters": {"base_url": "https://a\x7f.example"},
}


@pytest.mark.parametrize("name", SETUPS)
def test_unusable_configuration_leaks_nothing(both: ClientKind, name: str) -> None:
    options = {"api_key": KEY, "headers": HEADERS, **SETUPS[name]}
    result = outcome(both, lambda: both.client_class(**options))
    assert isinstance(result, errors.ConfigurationError | errors.AuthenticationError), result
    assert MARK not in shown(result)
    client = open_client(both, "http://127.0.0.1:9")
    if "headers" in SETUPS[name]:
        for change in (
            lambda: client.with_options(**SETUPS[name]),
            lambda: client.api.with_headers(options["headers"]),
        ):
            result = outcome(both, change)
            assert isinstance(result, errors.ConfigurationError)
            assert MARK not in shown(result)


def test_client_representations_leak_nothing(both: ClientKind) -> None:
    client = open_client(both, "http://127.0.0.1:9")
    for thing in (client, client.with_options(timeout=9), client.api, client.api.with_headers({"X-Token": SECRET})):
        assert MARK not in repr(thing) + str(thing) + repr(vars(thing)) + repr(getattr(thing, "_config", None))
    assert MARK.encode() not in pickle.dumps(client)
    assert MARK not in repr(client._connection) + repr(vars(client._connection))
