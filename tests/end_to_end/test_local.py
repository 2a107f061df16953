"""``local()``: the three methods on the embedded server, the real Claude Code and the offline model."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil
import pytest
from claude_code_api.api.tasks import list_tasks
from support.clients.client_kinds import ClientKind
from support.servers.messages_endpoint import ScriptedMessages, message

from claude_code_client import ConfigurationError, InvalidRequestError, NotFoundError

from .conftest import CLIENTS, ONE_CLIENT, SharedServer, crossed

pytestmark = pytest.mark.xdist_group("shared_server")


def found(folder: Path, pattern: str) -> int:
    """Return the count that find reports."""
    command = ["find", str(folder), "-type", "f", "-name", pattern]
    return len(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines())


def test_a_completion_names_its_model(both: ClientKind, shared_server: SharedServer) -> None:
    reply = both.call(both.client(shared_server.base_url).complete("What is Python?", temperature=0.5))
    assert "not a language model" in reply.content
    assert "ANTHROPIC_API_KEY" in reply.content
    assert reply.stop_reason == "end_turn"
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens > 10
    assert reply.usage.cost == 0
    assert any("temperature" in warning for warning in reply.warnings)


def test_a_streamed_completion(both: ClientKind, shared_server: SharedServer) -> None:
    client = both.client(shared_server.base_url)
    *pieces, reply = both.each(client.stream_complete("What is Python?"))
    assert "".join(pieces) == reply.content == both.call(client.complete("What is Python?")).content
    assert len(pieces) > 1, "the reply did not come in pieces"


@ONE_CLIENT
def test_the_count_equals_that_of_find_and_bash_really_ran(both: ClientKind, shared_server: SharedServer) -> None:
    client = both.client(shared_server.base_url)
    (shared_server.folder / "src" / "more.py").touch()
    (shared_server.folder / "src" / "shop" / "more.py").touch()
    assert found(shared_server.folder / "src", "*.py") == 5
    task = both.call(
        client.execute_task("Count Python files in src/", allow_tools=["Bash"], working_directory=shared_server.name)
    )
    assert task.status == "completed"
    assert "Found 5 Python files" in task.result["summary"]
    [call] = [step for step in task.execution_log if step["action"] == "tool_call"]
    assert call["tool"] == "Bash"
    assert "find src" in call["arguments"]["command"]
    [tool_result] = [step for step in task.execution_log if step["action"] == "tool_result"]
    assert (tool_result["result"].strip(), tool_result["status"]) == ("5", "success")
    assert (task.usage.cost, task.usage.total_tokens > 0) == (0, True)


@ONE_CLIENT
def test_a_streamed_task_leaves_the_artifact_that_it_reports(both: ClientKind, shared_server: SharedServer) -> None:
    client = both.client(shared_server.base_url)
    stream = client.stream_task(
        "Write documentation for src/app.py in docs/app.md",
        allow_tools=["Read", "Write"],
        working_directory=shared_server.name,
    )
    events = list(both.each(stream))
    assert [event["tool"] for event in events if event["type"] == "tool_call"] == ["Read", "Write"]
    assert all({"type", "content", "timestamp"} <= event.keys() for event in events)
    result = events[-1]
    assert (result["type"], result["status"]) == ("result", "completed")
    [artifact] = result["artifacts"]
    content = (shared_server.folder / "docs" / "app.md").read_bytes()
    assert artifact["path"] == "docs/app.md"
    assert artifact["size_bytes"] == len(content)
    assert artifact["sha256"] == hashlib.sha256(content).hexdigest()
    assert b"run" in content
    listed = next(both.each(client.list_tasks("completed", page_size=1)))
    assert [kept.to_dict()["path"] for kept in listed.artifacts] == ["docs/app.md"]
    assert both.call(client.get_task(listed.id)) == listed


@ONE_CLIENT
def test_an_unlisted_tool_is_not_used(both: ClientKind, shared_server: SharedServer) -> None:
    result = both.call(
        both.client(shared_server.base_url).execute_task(
            "Write documentation for src/app.py", allow_tools=["Read"], working_directory=shared_server.name
        )
    )
    assert result.status == "completed"
    assert result.artifacts == []
    assert "Write" in result.result["summary"]
    assert not (shared_server.folder / "docs").exists()


def test_generated_endpoints_directly(both: ClientKind, shared_server: SharedServer) -> None:
    client = both.client(shared_server.base_url)
    response = both.call(both.endpoint(list_tasks)(client=client.api, limit=10))
    assert response.status_code == 200
    assert len(response.parsed.data) <= 10


def test_errors_of_the_server_are_typed(both: ClientKind, shared_server: SharedServer) -> None:
    client = both.client(shared_server.base_url)
    with pytest.raises(NotFoundError):
        both.call(client.get_task("task_unknown"))
    with pytest.raises(InvalidRequestError, match="Teleport") as caught:
        both.call(client.execute_task("Count files", allow_tools=["Teleport"]))
    assert caught.value.request_id
    with pytest.raises(InvalidRequestError, match="working_directory"):
        both.call(client.execute_task("Count files", working_directory="../elsewhere"))


def test_reads(both: ClientKind, shared_server: SharedServer) -> None:
    client = both.client(shared_server.base_url)
    before = both.call(client.get_usage("day"))
    reply = both.call(client.complete("Hello", model="haiku"))
    assert both.call(client.get_health()).upstream == "offline"
    assert {"haiku", "sonnet", "opus"} <= {model.alias for model in both.call(client.list_models())}
    assert {"Bash", "Read", "Grep", "Glob", "Write"} <= {
        tool.name for tool in both.call(client.get_capabilities()).tools
    }
    after = both.call(client.get_usage("day"))
    assert after.usage.total_tokens - before.usage.total_tokens == reply.usage.total_tokens
    assert (after.usage.cost, after.limit) == (0, None)
    assert reply.model in {row.model for row in after.models}


@pytest.mark.parametrize(
    ("options", "message"),
    [({"workspace": "nowhere"}, "nowhere"), ({"upstream": "gopher://x"}, "http://")],
)
def test_a_server_that_cannot_start_says_why(
    both: ClientKind, workspace: Path, temp_dir: Path, options: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        both.local(**{"workspace": workspace, **options})
    assert list(temp_dir.iterdir()) == []


STARTS = {"new": "new_server", "forked": "workspace"}
"""Fixtures: a server started as a user's program does, which costs a second more, and one that is forked."""


@crossed(["sync-new", "async-forked"], both=CLIENTS, start=STARTS)
def test_closing_local_leaves_nothing_behind(
    both: ClientKind, start: str, workspace: Path, temp_dir: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(start)
    client = both.local(workspace)
    server = psutil.Process(client._server.pid)
    stream: Any = both.each(client.stream_task("Count Python files", allow_tools=["Bash"]))
    next(stream)
    assert list(temp_dir.iterdir())
    running = [server, *server.children(recursive=True)]
    assert len(running) > 1
    both.call(client.close())
    stream.close()
    assert not [process for process in running if process.is_running()]
    assert list(temp_dir.iterdir()) == []
    both.call(client.close())


@pytest.mark.parametrize(
    "end", [pytest.param("", marks=pytest.mark.long), "os.kill(os.getpid(), signal.SIGKILL)", "raise SystemExit(3)"]
)
def test_the_server_ends_with_the_process_that_started_it(workspace: Path, temp_dir: Path, end: str) -> None:
    program = f"""
        import os, signal
        from claude_code_client import ClaudeClient
        client = ClaudeClient.local({str(workspace)!r})
        print(client._server.pid, flush=True)
        {end}
    """
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=dict(os.environ),
    )
    server = int(done.stdout)
    assert done.stderr == ""
    assert done.returncode == {"": 0, "raise SystemExit(3)": 3}.get(end, -signal.SIGKILL)
    if psutil.pid_exists(server):
        psutil.wait_procs([psutil.Process(server)], timeout=10)
    assert not psutil.pid_exists(server)
    assert list(temp_dir.iterdir()) == []


def test_a_price_file_makes_other_models_known(both: ClientKind, tmp_path: Path) -> None:
    prices, workspace = tmp_path / "prices.toml", tmp_path / "workspace"
    workspace.mkdir()
    prices.write_text('[models."claude-opus-4-1"]\ninput_price = 15\noutput_price = 75\n')
    with ScriptedMessages([message("Dear.", input_tokens=100, output_tokens=20)]) as endpoint:
        client = both.local(workspace, upstream=endpoint.url, prices=prices)
        reply = both.call(client.complete("Hello", model="claude-opus-4-1"))
        assert reply.usage.cost == pytest.approx((100 * 15 + 20 * 75) / 1e6)


def test_a_price_file_that_is_none_stops_the_start(both: ClientKind, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot use the price file"):
        both.local(tmp_path, prices=tmp_path / "missing.toml")
