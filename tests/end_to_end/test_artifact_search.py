"""Search for the files that a task made: bounded, interruptible, and open about what it leaves out."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.clients.client_kinds import KEY
from support.servers.messages_endpoint import ScriptedMessages, message, tool
from support.servers.server_process import ServerProcess, server_process
from support.stalls import in_time

from claude_code_client import AgenticTaskResponse, ClaudeClient
from claude_code_server.engine.workspace_walk import MAX_FILES
from claude_code_server.runtime.files import remove_tree

pytestmark = pytest.mark.xdist_group("artifact_search")

TOOLS = ["Bash", "Write"]
MEMORY = Path("/dev/shm")
"""File system in memory, where there is one: some disks take half a minute to create 50,000 files."""


class Runner:
    """Runs tasks in one folder of a server. Their model calls the given tools, in turn."""

    def __init__(self, server: ServerProcess, endpoint: ScriptedMessages, client: ClaudeClient, folder: Path) -> None:
        self.server = server
        self.endpoint = endpoint
        self.client = client
        self.workspace = folder
        """Folder in which the tasks work."""
        self.options: dict[str, Any] = {
            "allow_tools": TOOLS,
            "working_directory": str(folder.relative_to(server.workspace)),
        }

    def script(self, *calls: dict[str, Any]) -> None:
        replies = iter([*(message(call) for call in calls), message("Done.")])
        self.endpoint.reply = lambda _: next(replies)

    def run(self, *calls: dict[str, Any]) -> AgenticTaskResponse:
        self.script(*calls)
        task = self.client.execute_task("Do it.", timeout=30, **self.options)
        assert task.status == "completed", task.error
        return task


@contextmanager
def runner_in(folder: Path) -> Iterator[Runner]:
    """Start a server for one runner, which works in the server's whole workspace."""
    with (
        ScriptedMessages([]) as endpoint,
        server_process(folder, api_keys=[KEY], upstream=endpoint.url) as server,
        ClaudeClient(api_key=KEY, base_url=server.base_url, timeout=40) as client,
    ):
        yield Runner(server, endpoint, client, server.workspace)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Runner]:
    """A runner whose server the test may stop."""
    with runner_in(tmp_path) as runner:
        yield runner


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = Path(tempfile.mkdtemp(dir=MEMORY if os.access(MEMORY, os.W_OK) else tmp_path_factory.getbasetemp()))
    try:
        with runner_in(folder) as runner:
            yield runner
    finally:
        remove_tree(folder)


@pytest.fixture
def runner(shared: Runner) -> Runner:
    """A runner in a folder of its own, on a server that several tests share."""
    folder = shared.workspace / uuid.uuid4().hex
    folder.mkdir()
    return Runner(shared.server, shared.endpoint, shared.client, folder)


def bash(command: str) -> dict[str, Any]:
    return tool("Bash", command=command)


def paths(task: AgenticTaskResponse) -> list[str]:
    return [artifact.path for artifact in task.artifacts]


def test_a_huge_sparse_file_is_left_out_with_a_warning(own_server: Runner) -> None:
    own_server.script(bash("truncate -s 200G huge.bin; echo x > small.txt"))
    started = time.monotonic()
    stream = own_server.client.stream_task("Do it.", timeout=30, **own_server.options)
    *_, result = stream
    assert time.monotonic() - started < 15
    assert stream.task_id is not None
    task = own_server.client.get_task(stream.task_id)
    assert paths(task) == ["small.txt"]
    [warning] = task.warnings
    assert "huge.bin" in warning
    assert result["type"] == "result"
    assert result["warnings"] == task.warnings
    started = time.monotonic()
    assert own_server.server.stop() == 0
    assert time.monotonic() - started < 10


def test_sigterm_interrupts_the_hashing_of_large_files(own_server: Runner) -> None:
    own_server.script(bash("for i in 1 2 3 4; do truncate -s 3900M $i.bin; done"))
    with own_server.client.submit_task("Do it.", **own_server.options) as handle:
        for event in handle.events():
            if event["type"] == "tool_result":
                break
        handle.detach()
    time.sleep(1)  # until the hashing has begun; the outcome is the same if it has not
    started = time.monotonic()
    assert own_server.server.stop() == 0
    assert time.monotonic() - started < 10


def test_other_work_goes_on_while_large_files_are_hashed(runner: Runner) -> None:
    runner.script(bash("for i in 1 2 3 4; do truncate -s 3900M $i.bin; done"))
    handle = runner.client.submit_task("Do it.", **runner.options)
    next(event for event in handle.events() if event["type"] == "tool_result")
    runner.endpoint.reply = lambda _: message("Hi.")
    with in_time(5):
        assert runner.client.complete("x" * 200_000).content == "Hi."
    assert any("bin" in warning for warning in handle.wait().warnings)


def test_deep_folders_break_neither_this_task_nor_the_next(runner: Runner) -> None:
    deep = "/".join(["d"] * 1100)  # deeper than Python recurses
    task = runner.run(bash(f"mkdir -p {deep} $TMPDIR/{deep}; echo x > {deep}/deep.txt"))
    assert paths(task) == [f"{deep}/deep.txt"]
    assert task.artifacts[0].read_bytes() == b"x\n"
    assert paths(runner.run(bash("echo x > next.txt"))) == ["next.txt"]


def test_what_bash_makes_is_found_in_a_tree_of_51_000_files(runner: Runner) -> None:
    assert MAX_FILES < 51_000
    for number in range(51):
        folder = runner.workspace / "assets" / str(number)
        folder.mkdir(parents=True)
        for name in range(1000):
            os.close(os.open(f"{folder}/{name}", os.O_CREAT | os.O_WRONLY))
    # Files that were there before are not read, and not warned of, however large they are.
    with (runner.workspace / "huge.bin").open("wb") as huge:
        huge.truncate(200 * 10**9)
    task = runner.run(bash("echo x > made.txt; echo x > assets/50/made.txt; echo x > assets/7/7"))
    assert paths(task) == ["assets/50/made.txt", "assets/7/7", "made.txt"]
    assert task.warnings == []


def test_ignored_files_that_no_file_tool_wrote_and_hard_links_to_outside_are_left_out(runner: Runner) -> None:
    (runner.workspace / ".gitignore").write_text("*.log\nbuild/\n!keep.log\n")
    (runner.workspace.parent / "secret.txt").write_text("secret")
    task = runner.run(
        bash("mkdir build node_modules .tox __pycache__; touch build/a node_modules/a .tox/a __pycache__/a"),
        bash("touch a.log keep.log made.txt; ln ../secret.txt linked.txt; echo x > one.txt; ln one.txt two.txt"),
        tool("Write", file_path="build/report.md", content="# Report"),
    )
    assert paths(task) == ["build/report.md", "keep.log", "made.txt", "one.txt", "two.txt"]
    [linked] = [warning for warning in task.warnings if "linked.txt" in warning]
    [ignored] = [warning for warning in task.warnings if warning != linked]
    assert all(name in ignored for name in ("a.log", "build", "node_modules"))
    assert "__pycache__" not in ignored
    assert ".tox" not in ignored
