"""Audit log: who ran what, with which tools, at what cost, read while the server runs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.servers.embedded_server import KEY, OTHER_KEY, Running, serving
from support.servers.scripted_engine import Emitted, ScriptedEngine, calls

from claude_code_client._cli import cli
from claude_code_server.domain.api_key import hash_key
from claude_code_server.domain.audit import key_id
from claude_code_server.domain.engine_protocol import Outcome
from claude_code_server.domain.usage import Usage
from claude_code_server.engine.agents import AGENTS

PROMPT = "CANARY-prompt"
KNOWN = next(iter(AGENTS))
INVENTED = calls(PROMPT)
AGENT = Emitted("agent_spawn", {"content": "a", "agent": KNOWN, "reason": PROMPT, "call_id": "1"})
STEPS = (calls("Bash", command=PROMPT), calls("Bash"), calls("Read"), INVENTED, AGENT)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def server(tmp_path: Path, state: Path) -> Iterator[Running]:
    engine = ScriptedEngine(*STEPS, Outcome("completed", usage=Usage(70, 7, 0.25)))
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    with serving(workspace, engine, state_dir=state) as running:
        yield running


def entries(capsys: pytest.CaptureFixture[str], state: Path, *options: str) -> list[dict[str, Any]]:
    assert cli.main(["audit", "--state-dir", str(state), "--json", *options]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.slow
def test_the_log_says_who_ran_what_at_what_cost(
    server: Running, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with server.client() as client, server.client(OTHER_KEY) as other:
        created = client.post("/task", json={"description": PROMPT, "allow_tools": ["Bash", "Glob"]})
        other.post("/chat/completions", json={"messages": [{"role": "user", "content": PROMPT}]})
    task, completion = entries(capsys, state)
    assert task == {
        "at": task["at"], "ended_at": task["ended_at"], "key": key_id(hash_key(KEY)), "kind": "task",
        "task_id": created.json()["id"], "request_id": created.headers["x-request-id"], "model": "claude-sonnet-5-5",
        "status": "completed", "granted": {"tools": ["Bash", "Glob"], "agents": [], "skills": []},
        "used": {"Bash": 2, "Read": 1, "(unknown)": 1, KNOWN: 1},
        "input_tokens": 70, "output_tokens": 7, "cost": 0.25,
    }  # fmt: skip
    assert (completion["kind"], completion["key"]) == ("completion", key_id(hash_key(OTHER_KEY)))
    assert completion["output_tokens"] > 0
    assert task["at"] <= task["ended_at"]


def test_entries_are_selected_by_key_and_age(server: Running, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for key in (KEY, OTHER_KEY):
        with server.client(key) as client:
            client.post("/task", json={"description": "a"})
    first, second = entries(capsys, state)
    assert entries(capsys, state, "--key", second["key"]) == [second]
    assert entries(capsys, state, "--key", second["key"][:6]) == [second]
    assert entries(capsys, state, "--since", second["at"])[-1] == second
    assert entries(capsys, state, "--since", "1h") == [first, second]
    assert entries(capsys, state, "--since", "2100-01-01") == []


@pytest.mark.slow
def test_people_get_a_table_without_prompts(server: Running, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with server.client() as client:
        client.post("/task", json={"description": PROMPT, "allow_tools": ["Bash", "Glob"]})
    assert cli.main(["audit", "--state-dir", str(state)]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["time", "key", "what", "model", "status", "tokens", "cost", "tools"]
    assert line.endswith(f"completed             77     $0.2500  Bash x2, Read x1, (unknown) x1, {KNOWN} x1, (Glob)")
    assert PROMPT not in line


@pytest.mark.parametrize("option", [["--since", "yesterday"], ["--key", "%"], ["--state-dir"]])
def test_wrong_options_are_refused(tmp_path: Path, option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["audit", "--state-dir", str(tmp_path), *option]) == 2
    assert option[0] in capsys.readouterr().err


def test_a_missing_or_newer_state_is_a_one_line_error(
    server: Running, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["audit", "--json", "--state-dir", str(state / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().err
    with sqlite3.connect(state / "state.sqlite3") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    assert cli.main(["audit", "--json", "--state-dir", str(state)]) == 1
    error = capsys.readouterr().err
    assert "another version" in error
    assert error.count("\n") == 1
