"""Directories that a server refuses: workspaces with personal files, exposed state, and swapped links."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.clients.client_kinds import KEY, ClientKind
from support.servers.messages_endpoint import Hang, ScriptedMessages, message, tool
from support.servers.server_process import server_process

from claude_code_client import ClaudeClient, ConfigurationError

from .conftest import ONE_CLIENT, fill


def test_state_inside_the_workspace_is_refused(both: ClientKind, workspace: Path) -> None:
    (workspace / "link").symlink_to(workspace / "src")
    for inside in (workspace, workspace / "state", workspace / "link" / "state"):
        with pytest.raises(ConfigurationError, match=r"state directory .* inside the workspace"):
            both.local(workspace, state_dir=inside)
    assert not (workspace / "state").exists()


def test_temporary_state_inside_the_workspace_is_refused(
    both: ClientKind, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(workspace / "src"))
    with pytest.raises(ConfigurationError, match="state_dir"):
        both.local(workspace)
    assert not list((workspace / "src").glob("claude-code-api-*"))


@pytest.fixture
def home(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory in the workspace."""
    monkeypatch.setenv("HOME", str(workspace / "src"))
    return workspace / "src"


def test_a_home_directory_is_no_workspace(both: ClientKind, workspace: Path, home: Path) -> None:
    for refused in (home, workspace, "/"):
        with pytest.raises(ConfigurationError, match="allow_home_workspace=True"):
            both.local(refused)


@ONE_CLIENT
@pytest.mark.usefixtures("home")
def test_a_home_directory_is_a_workspace_on_demand(both: ClientKind, workspace: Path) -> None:
    client = both.local(workspace, allow_home_workspace=True)
    result = both.call(client.execute_task("Count Python files in src/", allow_tools=["Bash"]))
    assert "3 Python files" in result.result["summary"]


def test_a_directory_replaced_by_a_link_before_the_task_starts_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("outside-canary")
    with (
        ScriptedMessages(lambda _: Hang()) as endpoint,
        server_process(
            tmp_path, api_keys=[KEY], upstream=endpoint.url, options=["--max-concurrent-tasks", "1"]
        ) as server,
        ClaudeClient(api_key=KEY, base_url=server.base_url) as client,
    ):
        workspace = fill(server.workspace)
        running = client.submit_task("Wait.")
        pending = client.submit_task("Read.", allow_tools=["Read"], working_directory="src")
        endpoint.reply = lambda body: (
            message("Done.") if "canary" in str(body) else message(tool("Read", file_path="secret.txt"))
        )
        (workspace / "src").rename(workspace / "old")
        (workspace / "src").symlink_to(outside)
        assert pending.refresh().status == "pending"
        running.cancel()
        task = pending.wait()
    assert task.status == "failed"
    assert task.error is not None
    assert "replaced by a link" in task.error["message"]
    assert "outside-canary" not in str(task.to_dict())
