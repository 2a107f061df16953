"""Stored keys: the command `keys`, and what a running server makes of it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.clients.client_kinds import ClientKind
from support.processes import eventually
from support.servers.context_server import ContextServer, context_server
from support.servers.embedded_server import Running, all_events, events_of
from support.servers.messages_endpoint import Hang, ScriptedMessages
from support.stored_keys import create_key, keys_command, revoke_key, rotate_key

from claude_code_client import AuthenticationError
from claude_code_client._cli.cli import main
from claude_code_server.domain.api_key import hash_key
from claude_code_server.domain.errors import ApiError
from claude_code_server.services.auth import ApiKeys
from claude_code_server.services.stored_keys import StoredKeys
from claude_code_server.storage.store import STATE_FILE, open_keys

GIVEN = "sk-proj-given"
FUTURE = "2999-01-01"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ContextServer]:
    with context_server(tmp_path, api_keys=(GIVEN,)) as running:
        yield running


def state(server: ContextServer) -> Path:
    directory = server.server.services.settings.state_dir
    assert directory is not None
    return directory


def status_with(server: Running, key: str) -> int:
    with server.client(key) as client:
        return client.get("/models").status_code


# ---- the command


def test_a_key_is_shown_once_and_stored_as_a_hash(tmp_path: Path) -> None:
    key = create_key(tmp_path, "ci", "--preset=pro", "--expires=30d")
    assert key.startswith("sk-proj-")
    assert len(key) > 40
    listed = keys_command("list", tmp_path)
    assert "ci" in listed
    assert "active" in listed
    everything = keys_command("list", tmp_path, "--json")
    entry = json.loads(everything)[0]
    assert (entry["name"], entry["preset"], entry["last_used_at"]) == ("ci", "pro", None)
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert hash_key(key).encode() in stored
    for shown in (listed.encode(), everything.encode(), stored):
        assert key.encode() not in shown
    assert hash_key(key) not in listed + everything


def test_revoked_and_rotated_keys(tmp_path: Path) -> None:
    old = create_key(tmp_path, "ci")
    new = rotate_key(tmp_path, "ci")
    assert new != old
    revoke_key(tmp_path, "ci")
    entry = json.loads(keys_command("list", tmp_path, "--json"))[0]
    assert entry["status"] == "revoked"
    assert create_key(tmp_path, "ci"), "the name is free again"
    assert [key["status"] for key in json.loads(keys_command("list", tmp_path, "--json"))] == ["revoked", "active"]


@pytest.mark.parametrize(
    ("arguments", "status", "part"),
    [
        (["create", "ci"], 1, "exists"),
        (["create", " "], 1, "printable"),
        (["create", "x", "--tools=Raed"], 1, "no tool matches 'Raed'"),
        (["create", "x", "--tools="], 2, "--tools"),
        (["create", "x", "--month-budget=-1"], 2, "--month-budget"),
        (["create", "x", "--max-cost=nan"], 2, "--max-cost"),
        (["create", "x", "--expires=2001-01-01"], 2, "in the past"),
        (["create", "x", "--expires=soon"], 2, "neither a duration"),
        (["create", "x", "--preset=gold"], 2, "gold"),
        (["revoke", "nobody"], 1, "'nobody'"),
        (["rotate", "nobody"], 1, "'nobody'"),
        (["rotate", "gone"], 1, "'gone'"),
        ([], 2, "create|list|revoke|rotate"),
    ],
)
def test_wrong_usage_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, part: str
) -> None:
    create_key(tmp_path, "ci")
    create_key(tmp_path, "gone")
    revoke_key(tmp_path, "gone")
    assert main(["keys", *arguments, *([f"--state-dir={tmp_path}"] if arguments else [])]) == status
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("claude-code-client keys")
    assert part in error


def test_only_create_makes_a_state_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "typo"
    assert main(["keys", "list", f"--state-dir={folder}"]) == 1
    assert "is not the state directory" in capsys.readouterr().err
    assert not folder.exists()
    create_key(folder, "ci")
    assert (folder / STATE_FILE).stat().st_mode & 0o077 == 0


def test_the_state_of_the_version_before_gets_a_table_of_keys(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / STATE_FILE)
    database.executescript((Path(__file__).with_name("state_versions") / "version_4.sql").read_text())
    database.close()
    assert create_key(tmp_path, "ci")


# ---- the server


def test_a_running_server_sees_new_rotated_and_revoked_keys_at_once(both: ClientKind, server: ContextServer) -> None:
    key = create_key(state(server), "ci", "--preset=enterprise")
    client = both.client(server.base_url, api_key=key)
    task = both.call(client.execute_task("Work."))
    new = rotate_key(state(server), "ci")
    with pytest.raises(AuthenticationError):
        both.call(client.list_models())
    client = both.client(server.base_url, api_key=new)
    assert both.call(client.get_task(task.id)).id == task.id, "a rotated key keeps its tasks"
    revoke_key(state(server), "ci")
    with pytest.raises(AuthenticationError):
        both.call(client.list_models())
    assert status_with(server.server, GIVEN) == 200
    assert json.loads(keys_command("list", state(server), "--json"))[0]["last_used_at"] is not None


def test_a_revoked_key_stops_its_tasks_and_ends_its_streams(server: ContextServer) -> None:
    key = create_key(state(server), "ci", "--preset=enterprise")
    running = server.server
    with running.client(key) as client, running.client(GIVEN) as other:
        held = client.post("/task", json={"description": "hold", "context": {"hold": True}, "timeout": 1000},
                           headers={"Prefer": "respond-async"}).json()["id"]  # fmt: skip
        others = other.post("/task", json={"description": "other", "context": {"hold": True}},
                            headers={"Prefer": "respond-async"}).json()["id"]  # fmt: skip
        server.engine.wait_until(lambda: server.engine.running == 2)
        with client.stream("GET", f"/task/{held}/events") as stream:
            assert stream.status_code == 200
            revoke_key(state(server), "ci")
            assert [event.type for event in events_of(stream.iter_lines()) if event.type != "comment"] in (
                [],
                ["result"],
            )
        server.engine.wait_until(lambda: server.engine.running == 1)
        assert client.get(f"/task/{held}").status_code == 401
        assert {id_: status for id_, status, _ in server.tasks()} == {held: "cancelled", others: "running"}
        other.post(f"/task/{others}/cancel")
        assert all_events(other, others)[-1].type == "result"


def test_a_rotated_key_loses_its_streams_but_not_its_tasks(server: ContextServer) -> None:
    old = create_key(state(server), "ci", "--preset=enterprise")
    with server.server.client(old) as client:
        held = client.post("/task", json={"description": "hold", "context": {"hold": True, "events": 1}},
                           headers={"Prefer": "respond-async"}).json()["id"]  # fmt: skip
        with client.stream("GET", f"/task/{held}/events") as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("id: 1")
            new = rotate_key(state(server), "ci")
            assert not [line for line in lines if line.startswith("id:")]
    with server.server.client(new) as client:
        assert client.get(f"/task/{held}").json()["status"] == "running"
        assert client.post(f"/task/{held}/cancel").json()["status"] == "cancelled"


@pytest.mark.parametrize("wait", ["blocking", "long poll"])
def test_a_request_that_waits_gets_a_401_when_its_key_is_revoked(server: ContextServer, wait: str) -> None:
    key = create_key(state(server), "ci", "--preset=enterprise")
    body = {"description": "hold", "context": {"hold": True}, "timeout": 1000}
    with server.server.client(key) as client:
        answers: list[int] = []

        def ask() -> None:
            headers = {} if wait == "blocking" else {"Prefer": "wait=30"}
            answers.append(client.post("/task", json=body, headers=headers).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        server.engine.wait_until(lambda: server.engine.running == 1)
        revoke_key(state(server), "ci")
        asking.join(10)
        assert answers == [401]
        server.engine.wait_until(lambda: server.engine.running == 0)


@pytest.mark.parametrize("path", ["/chat/completions", "/chat/completions/stream"])
def test_a_completion_of_a_revoked_key_is_abandoned_and_charged(tmp_path: Path, path: str) -> None:
    state_dir = tmp_path / "state"
    key = create_key(state_dir, "ci", "--preset=enterprise")
    body = {"messages": [{"role": "user", "content": "Hello"}], "model": "haiku"}
    with (
        ScriptedMessages(lambda _: Hang()) as endpoint,
        context_server(tmp_path, api_keys=(GIVEN,), upstream=endpoint.url, upstream_key="sk-real") as server,
        server.server.client(key) as client,
    ):
        answers: list[int] = []
        asking = threading.Thread(target=lambda: answers.append(client.post(path, json=body).status_code))
        asking.start()
        assert endpoint.requested.wait(10)
        revoke_key(state_dir, "ci")
        asking.join(10)
        assert answers == [401]
        assert endpoint.abandoned.wait(10)
        eventually(lambda: server.billed() == 1)


def test_a_waiting_task_of_a_key_that_was_revoked_meanwhile_does_not_run_after_a_restart(tmp_path: Path) -> None:
    options: dict[str, Any] = {"api_keys": (GIVEN,), "max_concurrent_tasks": 1}
    body = {"description": "waits", "context": {"hold": True}}
    with context_server(tmp_path, **options) as server, server.server.client(GIVEN) as given:
        given.post("/task", json={**body, "description": "first"}, headers={"Prefer": "respond-async"})
        key = create_key(state(server), "ci", "--preset=enterprise")
        with server.server.client(key) as client:
            client.post("/task", json=body, headers={"Prefer": "respond-async"})
    revoke_key(tmp_path / "state", "ci")
    with context_server(tmp_path, **options) as server:
        eventually(lambda: server.tasks_by_status() == {"cancelled": 1, "failed": 1})
        assert server.engine.runs["waits"] == 0


def test_an_expired_key_stops_its_tasks(tmp_path: Path) -> None:
    create_key(tmp_path, "ci", f"--expires={FUTURE}")
    now = "2026-11-27T12:00:00.000Z"
    stopped: list[str] = []

    async def check() -> None:
        nonlocal now
        with open_keys(tmp_path) as table:
            keys = StoredKeys(table, stopped.append, lambda: now)
            caller = keys.callers[0]
            ended = keys.ended(caller)
            assert ended is not None
            watching = asyncio.create_task(keys.watch())
            await asyncio.sleep(0)
            now = "2999-01-01T00:00:00.000Z"
            await asyncio.wait_for(ended.wait(), 10)
            assert stopped == [caller.owner]
            assert keys.callers == ()
            watching.cancel()

    asyncio.run(check())


# ---- what wrong keys learn


WRONG: dict[str, Callable[[str], str]] = {
    "unknown": lambda key: "sk-proj-" + "x" * (len(key) - 8),
    "short": lambda key: "sk-proj-x",
    "prefix": lambda key: key[:-1],
    "last character": lambda key: key[:-1] + ("a" if key[-1] != "a" else "b"),
}


def wrong_keys(folder: Path) -> dict[str, str]:
    """Return keys that are not accepted, beside one that is."""
    live = create_key(folder, "live")
    revoked, expired = create_key(folder, "revoked"), create_key(folder, "expired", f"--expires={FUTURE}")
    rotated = create_key(folder, "rotated")
    rotate_key(folder, "rotated")
    revoke_key(folder, "revoked")
    database = sqlite3.connect(folder / STATE_FILE)
    with database:
        database.execute("UPDATE api_keys SET expires_at = '2001-01-01T00:00:00.000Z' WHERE name = 'expired'")
    database.close()
    wrong = {kind: make(live) for kind, make in WRONG.items()}
    return {**wrong, "revoked": revoked, "expired": expired, "rotated": rotated}


def test_wrong_keys_get_the_same_response(server: ContextServer) -> None:
    responses: set[tuple[Any, ...]] = set()
    for key in wrong_keys(state(server)).values():
        with server.server.client(key) as client:
            response = client.get("/models")
        headers = {name: value for name, value in response.headers.items() if name not in ("x-request-id", "date")}
        error = response.json()["error"]
        responses.add((response.status_code, json.dumps(error), json.dumps(headers, sort_keys=True)))
    assert len(responses) == 1
    assert responses.pop()[0] == 401


@pytest.mark.slow
def test_a_thousand_wrong_keys_take_the_same_steps(tmp_path: Path) -> None:
    """Compare the executed lines instead of seconds, which a busy machine would blur."""
    wrong = wrong_keys(tmp_path)

    async def steps(keys: ApiKeys, key: str, address: str) -> tuple[Any, ...]:
        lines: list[tuple[str, int]] = []

        def trace(frame: Any, event: str, _: Any) -> Any:
            if "claude_code_server" in frame.f_code.co_filename or frame.f_code.co_filename.endswith("hmac.py"):
                lines.append((frame.f_code.co_qualname, frame.f_lineno))
            return trace

        sys.settrace(trace)
        try:
            await keys.authenticate(f"Bearer {key}", address)
        except ApiError as error:
            said = (error.status, error.type, error.message, tuple(error.headers.items()), error.retry_after)
        else:
            raise AssertionError
        finally:
            sys.settrace(None)
        return said, tuple(lines)

    async def check() -> None:
        with open_keys(tmp_path) as table:
            keys = ApiKeys([GIVEN], StoredKeys(table))
            assert len(keys._given) + len(StoredKeys(table).callers) == 3
            seen: dict[Any, set[str]] = {}
            names = list(wrong)
            for number in range(1000):
                kind = names[number % len(names)]
                # Each from an address of its own, so that none is slowed down.
                address = f"10.0.{number // 250}.{number % 250}"
                seen.setdefault(await steps(keys, wrong[kind], address), set()).add(kind)
            # The first attempt fills caches.
            assert max(map(len, seen.values())) == len(names)
            assert len(seen) <= 2

    before = sys.gettrace()
    try:
        asyncio.run(check())
    finally:
        sys.settrace(before)
