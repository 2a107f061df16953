"""Parts of the engine that do not need Claude Code: events, outcomes, artifacts, environment, options."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.servers.claude_code_bench import KEY

from claude_code_server.domain.engine_protocol import TaskSpec
from claude_code_server.domain.model_catalog import ModelCatalog, Tariff
from claude_code_server.engine import agents
from claude_code_server.engine.agent_library import AgentLibrary
from claude_code_server.engine.changed_files import ArtifactLimits, find_changed_files
from claude_code_server.engine.claude_code import ClaudeCodeEngine
from claude_code_server.engine.launch import build_environment, remove_stale_directories
from claude_code_server.engine.model_proxy import ModelProxy
from claude_code_server.engine.options import build_options, build_prompt, tool_names
from claude_code_server.engine.unavailable import UnavailableError
from claude_code_server.engine.workspace_walk import take_snapshot
from claude_code_server.runtime.files import remove_tree
from claude_code_server.runtime.work_limit import WorkLimit
from claude_code_server.upstream.factory import open_upstream

SPEC = TaskSpec("task_1", "Count.", Path("/nowhere"), "claude-haiku-5-5", max_cost=0.5, timeout=7)


def test_artifacts_are_the_changed_files(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for path in ("same.txt", "changed.txt", "gone.txt", "sub/old.txt", ".git/HEAD", "node_modules/x.js"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (tmp_path / "outside.txt").write_text("secret")
    before = take_snapshot(root, WorkLimit(60))
    (root / "changed.txt").write_text("changed!")
    (root / "gone.txt").unlink()
    (root / "sub" / "new é.md").write_text("# new")
    (root / ".git" / "index").write_text("x")
    (root / "node_modules" / "written.js").write_text("x")
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    (root / "far").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    (root / os.fsdecode(b"not-text-\xff")).touch()
    written = [
        "node_modules/written.js",
        str(root / "changed.txt"),
        "link.txt",
        "../outside.txt",
        "far/outside.txt",
        "pipe",
        "missing.txt",
        ".",
    ]
    result = find_changed_files(root, before, written, WorkLimit(60), ArtifactLimits())
    found = result.artifacts
    assert [artifact.path for artifact in found] == ["changed.txt", "node_modules/written.js", "sub/new é.md"]
    new = found[2]
    assert (new.size_bytes, new.sha256, new.type) == (5, hashlib.sha256(b"# new").hexdigest(), "file")
    assert new.created_at.endswith("Z")


def test_in_a_huge_directory_times_tell_which_files_have_changed(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text("x")
    time.sleep(0.1)  # longer than the clock of the file system may lag behind
    assert take_snapshot(tmp_path, WorkLimit(60), max_files=4).complete
    before = take_snapshot(tmp_path, WorkLimit(60), max_files=1)
    assert not before.complete
    (tmp_path / "made.txt").touch()
    os.utime(tmp_path / "made.txt", (0, 0))
    found = find_changed_files(tmp_path, before, [], WorkLimit(60), ArtifactLimits())
    assert [artifact.path for artifact in found.artifacts] == ["made.txt"]


def test_a_search_without_time_lists_what_it_can_and_says_so(tmp_path: Path) -> None:
    before = take_snapshot(tmp_path, WorkLimit(60))
    for name in ("empty.txt", "written.txt"):
        (tmp_path / name).write_text(name if name == "written.txt" else "")
    found = find_changed_files(tmp_path, before, ["written.txt"], WorkLimit(0), ArtifactLimits())
    assert found.artifacts == ()
    assert ["written.txt" in warning for warning in found.warnings] == [True, False]


def test_small_files_are_listed_before_large_ones(tmp_path: Path) -> None:
    before = take_snapshot(tmp_path, WorkLimit(60))
    for name, size in (("a", 60), ("b", 50), ("c", 40), ("written", 45)):
        (tmp_path / name).write_bytes(bytes(size))
    found = find_changed_files(tmp_path, before, ["written"], WorkLimit(60), ArtifactLimits(max_bytes=100))
    assert [artifact.path for artifact in found.artifacts] == ["c", "written"]
    assert ["a, b" in warning for warning in found.warnings] == [True]


def test_gitignore_files_apply_below_their_directory_and_cost_little(tmp_path: Path) -> None:
    (tmp_path / "sub" / "deeper").mkdir(parents=True)
    (tmp_path / ".gitignore").write_text("*.log\n/top.txt\n" + "*a" * 20 + "z\n")
    (tmp_path / "sub" / ".gitignore").write_text("!kept.log\nlocal.txt\n")
    before = take_snapshot(tmp_path, WorkLimit(60))
    for path in (
        "a.log",
        "top.txt",
        "sub/top.txt",
        "sub/kept.log",
        "sub/deeper/kept.log",
        "sub/local.txt",
        "local.txt",
    ):
        (tmp_path / path).touch()
    (tmp_path / ("a" * 250)).touch()
    found = find_changed_files(tmp_path, before, [], WorkLimit(60), ArtifactLimits())
    assert [artifact.path for artifact in found.artifacts] == [
        "a" * 250, "local.txt", "sub/deeper/kept.log", "sub/kept.log", "sub/top.txt",
    ]  # fmt: skip


@pytest.mark.slow
def test_trees_of_any_depth_are_removed(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "root").symlink_to("/")
    folder = os.open(tmp_path / "tree", os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("dd", dir_fd=folder)
        deeper = os.open("dd", os.O_RDONLY, dir_fd=folder)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
        os.close(folder)
        folder = deeper
    os.close(folder)
    remove_tree(tmp_path / "tree")
    assert list(tmp_path.iterdir()) == []
    assert Path("/bin").exists()


def test_the_environment_is_built_from_nothing() -> None:
    base = {
        "PATH": "/bin:/x",
        "LANG": "de_DE.UTF-8",
        "HOME": "/home/me",
        "ANTHROPIC_API_KEY": KEY,
        "CLAUDE_CODE_USE_BEDROCK": "1",
        "HTTPS_PROXY": "http://proxy",
        "SECRET": "x",
    }
    got = build_environment(base, Path("/p"), url="http://127.0.0.1:1", key="sk-task-1")
    assert got["PATH"] == "/bin:/x"
    assert got["LANG"] == "de_DE.UTF-8"
    assert got["ANTHROPIC_API_KEY"] == "sk-task-1"
    assert {got[name].split("/")[1] for name in ("HOME", "TMPDIR", "CLAUDE_CODE_TMPDIR", "CLAUDE_CONFIG_DIR")} == {"p"}
    assert not {"CLAUDE_CODE_USE_BEDROCK", "HTTPS_PROXY", "SECRET", "ANTHROPIC_DEFAULT_HAIKU_MODEL"} & set(got)
    other = build_environment({}, Path("/p"), url="u", key="k", small_model="local")
    assert other["ANTHROPIC_DEFAULT_HAIKU_MODEL"] == "local"
    assert "/bin" in other["PATH"]


def test_directories_of_earlier_servers_are_removed_also_if_they_had_the_same_pid(tmp_path: Path) -> None:
    for name in ("run-1-abc", f"run-{os.getpid()}-abc", "run-x-abc", "other"):
        (tmp_path / name).mkdir()
    remove_stale_directories(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "run-x-abc"]


def test_the_prompt_contains_task_and_context() -> None:
    assert build_prompt(SPEC) == "<task>\nCount.\n</task>"
    spec = TaskSpec("t", "Count.", Path(), "m", context={"project": "é", "path": Path("x")})
    expected = '<task>\nCount.\n</task>\n<context>\n{"project": "é", "path": "x"}\n</context>'
    assert build_prompt(spec) == expected


@pytest.mark.slow
def test_agents_get_only_tools_that_the_task_has() -> None:
    library = AgentLibrary()
    spec = TaskSpec("t", "d", Path(), "m", tools=("Read", "Write"), agents=agents.AGENTS, skills=agents.SKILLS)
    options = build_options(spec, Path("/bin/false"), print, library.agents(), None)
    assert options.agents is not None
    assert {name: one.tools for name, one in options.agents.items()} == {
        "security-auditor": ["Read"],
        "code-analyzer": ["Read"],
        "documentation-generator": ["Read", "Write"],
    }
    assert options.tools == ["Read", "Write", "Agent", "Skill"]
    assert tool_names(TaskSpec("t", "d", Path(), "m")) == []


def test_skills_are_in_the_plugin() -> None:
    for name in agents.SKILLS:
        text = (agents.PLUGIN / "skills" / name / "SKILL.md").read_text(encoding="utf-8")
        assert text.startswith(f"---\nname: {name}\ndescription: ")
    assert (agents.PLUGIN / ".claude-plugin" / "plugin.json").is_file()


@pytest.mark.slow
def test_importing_the_engine_is_cheap() -> None:
    code = (
        "import sys, claude_code_server.engine.claude_code, claude_code_server.engine.agents;"
        "sys.exit('claude_agent_sdk' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_windows_is_rejected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UnavailableError, match="WSL"):
        ClaudeCodeEngine(ModelProxy(open_upstream("offline"), Tariff(ModelCatalog())), tmp_path)
