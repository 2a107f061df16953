"""Tasks in git worktrees of their own: their changes become a patch, and nothing else of them stays."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.clients.client_kinds import KEY, ClientKind
from support.processes import eventually
from support.sandbox import needs_sandbox
from support.servers.claude_code_bench import bench
from support.servers.messages_endpoint import Hang, ScriptedMessages, message, tool
from support.servers.server_process import server_process

from claude_code_server.domain.settings import Settings
from claude_code_server.engine.sandbox import open_sandbox
from claude_code_server.engine.worktree import WorktreeError, open_isolation, worktree_path
from claude_code_server.process import cli

from .conftest import ONE_CLIENT


def git(folder: Path, *arguments: str, **environment: str) -> str:
    identity = {f"GIT_{role}_{what}": "t@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", **identity, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def repository(folder: Path) -> Path:
    """Make a repository with a commit, and with changes that are not committed."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet")
    (folder / "src").mkdir()
    files = {"a.txt": "one\ntwo\n", "src/b.py": "x = 1\n", "gone.txt": "gone", ".gitignore": "*.log\n"}
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "image.bin").write_bytes(bytes(range(256)))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    (folder / "a.txt").write_text("one\ntwo\nnot committed\n")
    (folder / "untracked.txt").write_text("not committed")
    return folder


def state(folder: Path) -> tuple[str, ...]:
    """Return what must not change in a repository."""
    objects = sorted(str(path) for path in (folder / ".git/objects").rglob("*"))
    return (git(folder, "status", "--porcelain"), git(folder, "worktree", "list"), git(folder, "branch"), *objects)


WORK = """
printf 'one\\nTWO\\n' > a.txt; rm gone.txt; printf 'new é\\n' > 'src/new é.txt'; printf '\\0\\377' > image.bin
echo ignored > x.log; chmod +x src/b.py; ls; git status --short | wc -l; git commit -qam mine 2>/dev/null; true
"""


@pytest.mark.parametrize("sandboxed", [False, pytest.param(True, marks=needs_sandbox)])
def test_the_changes_of_a_task_are_a_patch(tmp_path: Path, sandboxed: bool) -> None:
    workspace = repository(tmp_path / "workspace")
    before = state(workspace)
    script = [
        message(tool("Bash", command=WORK), tool("Write", file_path="src/written.py", content="y = 2\n")),
        message("Done."),
    ]

    async def main() -> None:
        (tmp_path / "state").mkdir()
        isolation = open_isolation(workspace, tmp_path / "state")
        settings = Settings(workspace=workspace, api_keys=("k",), sandbox=sandboxed)
        sandbox = open_sandbox(settings, tmp_path / "state")
        (tmp_path / "state").rmdir()
        async with bench(tmp_path, script, isolation=isolation, sandbox=sandbox) as made:
            run = await made.run(made.spec())
            assert run.ended.status == "completed", run.ended
            listed = run.of("tool_result")[0]["result"]
            assert "untracked.txt" not in listed
            [artifact] = run.ended.artifacts
            assert (artifact.path, artifact.type) == ("task_1.patch", "patch")
            patch = made.state / "patches" / artifact.path
            assert [path.name for path in made.state.iterdir()] == ["patches"]
            # The commit of the task, which the sandbox prevents, leaves objects behind.
            assert state(workspace) == before if sandboxed else state(workspace)[:3] == before[:3]
            assert (workspace / "a.txt").read_text().endswith("not committed\n")
            clone = tmp_path / "clone"
            git(tmp_path, "clone", "--quiet", str(workspace), str(clone))
            git(clone, "apply", "--check", str(patch))
            git(clone, "apply", str(patch))
            assert (clone / "a.txt").read_text() == "one\nTWO\n"
            assert not (clone / "gone.txt").exists()
            assert (clone / "src/new é.txt").read_text() == "new é\n"
            assert (clone / "src/written.py").read_text() == "y = 2\n"
            assert (clone / "image.bin").read_bytes() == b"\0\xff"
            assert os.access(clone / "src/b.py", os.X_OK)
            assert not (clone / "x.log").exists()

    asyncio.run(main())


PLANT = r"""
mkdir -p sub/.git/objects sub/.git/refs vendored && cp -r sub/.git vendored/.git
for each in sub vendored; do
  echo 'ref: refs/heads/main' > $each/.git/HEAD
  printf '[core]\n\tfsmonitor = touch MARK\n\thooksPath = /tmp\n' > $each/.git/config
  printf '[filter "x"]\n\tclean = touch MARK\n' >> $each/.git/config
done
echo '* filter=x diff=x' > .gitattributes
rm .git; mkdir -p .git/hooks .git/objects .git/refs; cp sub/.git/HEAD sub/.git/config .git/
printf '#!/bin/sh\ntouch MARK\n' > .git/hooks/post-checkout; chmod +x .git/hooks/post-checkout
echo changed > a.txt
"""


def test_git_runs_nothing_that_a_task_planted(tmp_path: Path) -> None:
    workspace = repository(tmp_path / "workspace")
    # A submodule that is not checked out.
    head = git(workspace, "rev-parse", "HEAD").strip()
    git(workspace, "update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    git(workspace, "commit", "--quiet", "--message", "submodule")
    hook = workspace / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o700)
    (tmp_path / "state").mkdir()
    isolation = open_isolation(workspace, tmp_path / "state")
    worktree = isolation.create(workspace, worktree_path(tmp_path / "state"))
    subprocess.run(["sh", "-c", PLANT.replace("MARK", f"{tmp_path}/ran")], cwd=worktree.path, check=True)
    patch, _ = worktree.patch(10_000)
    assert b"+changed" in patch
    worktree.remove()
    assert not (tmp_path / "ran").exists()
    assert "state" not in git(workspace, "worktree", "list")


def test_limits_and_problems_of_patches(tmp_path: Path) -> None:
    workspace = repository(tmp_path / "workspace")
    (workspace / "untracked").mkdir()
    (tmp_path / "state").mkdir()
    isolation = open_isolation(workspace, tmp_path / "state")
    with pytest.raises(WorktreeError, match="not in the last commit"):
        isolation.create(workspace / "untracked", worktree_path(tmp_path / "state"))
    (tmp_path / "other").mkdir()
    worktree = isolation.create(workspace / "src", worktree_path(tmp_path / "other"))
    assert worktree.working_directory == worktree.path / "src"
    assert worktree.patch(1000) == (b"", [])
    (worktree.path / "large.txt").write_text("x\n" * 1000)
    patch, [warning] = worktree.patch(1000)
    assert patch == b""
    assert "larger than 1000 bytes" in warning


@ONE_CLIENT
def test_a_patch_is_downloaded_and_a_killed_server_leaves_no_worktree(both: ClientKind, tmp_path: Path) -> None:
    workspace = repository(tmp_path / "workspace")
    before = state(workspace)
    with ExitStack() as stack:
        endpoint = stack.enter_context(ScriptedMessages([]))
        endpoint.follow([message(tool("Write", file_path="c.txt", content="c\n")), message("Done."), Hang()])
        server = stack.enter_context(
            server_process(tmp_path, api_keys=[KEY], upstream=endpoint.url, options=["--isolate", "worktree"])
        )
        client = both.client(server.base_url)
        task = both.call(client.execute_task("Write.", allow_tools=["Write"]))
        handle = both.call(client.submit_task("Hang.", allow_tools=["Read"]))
        eventually(lambda: len(endpoint.requests) == 3)
        assert "claude-task-" in git(workspace, "worktree", "list")
        server.kill()
        server.start()
        assert both.call(client.get_task(handle.id)).status == "failed"
        both.call(handle.detach())
        assert state(workspace) == before
        [artifact] = task.artifacts
        assert artifact.type == "patch"
        target = tmp_path / "downloads"
        target.mkdir()
        path = both.call(client.download_artifact(task, artifact, to=target))
        assert "+c" in Path(path).read_text()
        git(workspace, "apply", "--check", str(path))


@pytest.mark.parametrize("kind", ["no repository", "no commit", "below the top"])
def test_a_workspace_that_cannot_be_isolated_prevents_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    workspace = tmp_path / "workspace"
    if kind == "below the top":
        workspace = repository(workspace) / "src"
    else:
        workspace.mkdir()
        if kind == "no commit":
            git(workspace, "init", "--quiet")
    arguments = ["--port=0", "--isolate=worktree", f"--workspace={workspace}", f"--state-dir={tmp_path}/state"]
    assert cli.run_foreground(arguments) == 1
    assert "--isolate worktree needs" in capsys.readouterr().err
