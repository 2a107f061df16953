"""Parts of the engine that do not need Claude Code: events, outcomes, artifacts, environment, options."""

import hashlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.servers.claude_code_bench import KEY

from claude_code_server.domain.engine_protocol import TaskSpec
from claude_code_server.domain.model_catalog import ModelCatalog, Tariff
from claude_code_server.engine import agents
from claude_code_server.engine.changed_files import find_changed_files
from claude_code_server.engine.claude_code import ClaudeCodeEngine, UnavailableError
from claude_code_server.engine.event_reader import EngineEvent, EventReader, first_line
from claude_code_server.engine.launch import build_environment, remove_stale_directories
from claude_code_server.engine.model_proxy import ModelProxy
from claude_code_server.engine.options import build_options, build_prompt, tool_names
from claude_code_server.engine.outcome import RunEnd, parse_result, status_and_error, summary
from claude_code_server.engine.workspace_walk import take_snapshot
from claude_code_server.runtime.files import remove_tree
from claude_code_server.runtime.work_limit import WorkLimit
from claude_code_server.upstream.factory import open_upstream
from claude_code_server.upstream.protocol import UpstreamError

SPEC = TaskSpec("task_1", "Count.", Path("/nowhere"), "claude-haiku-5-5", max_cost=0.5, timeout=7)


@dataclass
class TextBlock:
    text: str


@dataclass
class ThinkingBlock:
    thinking: str


@dataclass
class ToolUseBlock:
    id: str
    name: str
    input: dict[str, Any]


@dataclass
class ToolResultBlock:
    tool_use_id: str
    content: Any
    is_error: bool | None = None


@dataclass
class AssistantMessage:
    content: list[Any]
    parent_tool_use_id: str | None = None
    message_id: str | None = "msg_1"
    error: str | None = None


@dataclass
class UserMessage:
    content: Any
    parent_tool_use_id: str | None = None
    tool_use_result: Any = None


@dataclass
class ResultMessage:
    subtype: str = "success"
    is_error: bool = False
    result: str | None = "Done."
    terminal_reason: str | None = "completed"
    api_error_status: int | None = None
    errors: list[str] = field(default_factory=list)


def read(*messages: Any) -> tuple[list[EngineEvent], EventReader]:
    reader = EventReader()
    return [event for message in messages for event in reader.read(message)], reader


def test_text_becomes_a_thought_once_something_follows_it() -> None:
    got, reader = read(
        AssistantMessage([ThinkingBlock("Hm."), ThinkingBlock(" ")]),
        AssistantMessage([TextBlock("Let me look.")]),
        AssistantMessage([ToolUseBlock("t1", "Bash", {"command": "ls\nrm x"})]),
        UserMessage([ToolResultBlock("t1", "a\nb")]),
        AssistantMessage([TextBlock("The answer.")], message_id="msg_2"),
    )
    assert [(event.type, event.content) for event in got] == [
        ("thinking", "Hm."),
        ("thinking", "Let me look."),
        ("tool_call", "Bash: ls"),
        ("tool_result", "a"),
    ]
    assert got[2].fields == {"tool": "Bash", "arguments": {"command": "ls\nrm x"}, "call_id": "t1"}
    assert got[3].fields == {"tool": "Bash", "call_id": "t1", "status": "success", "result": "a\nb"}
    assert reader.final_text == "The answer."


def test_text_of_the_next_message_makes_the_previous_text_a_thought() -> None:
    got, reader = read(
        AssistantMessage([TextBlock("Part one")]),
        AssistantMessage([TextBlock("Part two")]),
        AssistantMessage([TextBlock("More")], message_id="msg_2"),
    )
    assert [event.content for event in got] == ["Part one", "Part two"]
    assert reader.final_text == "More"


def test_agents_and_skills_have_their_own_event_types() -> None:
    got, _ = read(
        AssistantMessage([ToolUseBlock("t1", "Task", {"subagent_type": "code-analyzer", "description": "look"})]),
        UserMessage([TextBlock("to the agent")], parent_tool_use_id="t1"),
        AssistantMessage([TextBlock("in the agent")], parent_tool_use_id="t1"),
        AssistantMessage([ToolUseBlock("t1", "Read", {"file_path": "x"})], parent_tool_use_id="t1"),
        UserMessage([ToolResultBlock("t1", [{"type": "text", "text": "no"}], True)], parent_tool_use_id="t1"),
        UserMessage(
            [ToolResultBlock("t1", [{"type": "text", "text": "[Subagent hand-back] … found"}])],
            tool_use_result={"content": [{"type": "text", "text": "found"}]},
        ),
        AssistantMessage([ToolUseBlock("t2", "Skill", {"skill": "p:semantic-text-matcher", "args": "a b"})]),
    )
    assert [(event.type, dict(event.fields)) for event in got] == [
        ("agent_spawn", {"agent": "code-analyzer", "reason": "look", "call_id": "t1"}),
        ("tool_call", {"tool": "Read", "arguments": {"file_path": "x"}, "call_id": "t1"}),
        ("tool_result", {"tool": "Read", "call_id": "t1", "status": "error", "result": "no"}),
        ("tool_result", {"tool": "Agent", "call_id": "t1", "status": "success", "result": "found"}),
        ("skill_invoke", {"skill": "semantic-text-matcher", "input": "a b", "call_id": "t2"}),
    ]


def test_messages_without_content_make_no_event() -> None:
    failed = AssistantMessage([TextBlock("API Error: 529")], error="overloaded")
    got, reader = read(UserMessage("text"), UserMessage([TextBlock("skill body")]), ResultMessage(), failed)
    assert (got, reader.final_text) == ([], "")


def test_only_successful_writes_count_as_written() -> None:
    writes = [("Write", "a.md", None), ("Edit", "b.md", True), ("Read", "c.md", None), ("Write", "d.md", False)]
    messages: list[Any] = []
    for name, path, failed in writes:
        messages.append(AssistantMessage([ToolUseBlock(path, name, {"file_path": path})]))
        messages.append(UserMessage([ToolResultBlock(path, "ok", failed)]))
    assert read(*messages)[1].written == {"a.md", "d.md"}


def test_results_and_lines_are_truncated() -> None:
    got, _ = read(UserMessage([ToolResultBlock("t1", "x" * 60_000), ToolResultBlock("t2", [{"type": "image"}])]))
    assert len(got[0].content) == 160
    assert got[0].fields["result"].endswith("(10000 more characters)")
    assert got[1].content == "[image]"
    assert first_line(" \n\n two \n") == "two"
    assert first_line("") == ""


@pytest.mark.parametrize(
    ("end", "status", "error"),
    [
        (RunEnd(ResultMessage()), "completed", None),
        (RunEnd(ResultMessage(terminal_reason=None)), "completed", None),
        (RunEnd(ResultMessage(), cancelled="timeout"), "timeout", ("timeout_error", "7 s")),
        (RunEnd(cancelled="cancelled"), "cancelled", ("cancelled_error", "cancelled")),
        (RunEnd(cancelled="cost_exceeded"), "cost_exceeded", ("cost_exceeded_error", "$0.5")),
        (RunEnd(cancelled="failed"), "failed", ("server_error", "cancelled the task")),
        (RunEnd(failure="it broke"), "failed", ("server_error", "it broke")),
        (RunEnd(), "failed", ("server_error", "without a result")),
        (
            RunEnd(ResultMessage(is_error=True), upstream_error=UpstreamError(529, "overloaded_error", "busy")),
            "failed",
            ("overloaded_error", "529: busy"),
        ),
        (
            RunEnd(ResultMessage(is_error=True), upstream_error=UpstreamError(402, "billing_error", "pay")),
            "failed",
            ("server_error", "402: pay"),
        ),
        (
            RunEnd(ResultMessage(is_error=True, result="API Error", api_error_status=401)),
            "failed",
            ("authentication_error", "API Error"),
        ),
        (
            RunEnd(ResultMessage(subtype="error_during_execution", result=None, errors=["a", "b"])),
            "failed",
            ("server_error", "a; b"),
        ),
        (
            RunEnd(ResultMessage(terminal_reason="aborted_tools", result="")),
            "failed",
            ("server_error", "success"),
        ),
    ],
)
def test_status_and_error(end: RunEnd, status: str, error: tuple[str, str] | None) -> None:
    got, failure = status_and_error(end, SPEC)
    assert got == status
    if error is None:
        assert failure is None
    else:
        assert failure is not None
        assert failure[0] == error[0]
        assert error[1] in failure[1]


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("Plain.", {}),
        ('Two bugs.\n```json\n{"bugs": [1, 2], "summary": "no"}\n```\n', {"bugs": [1, 2]}),
        ('```json\n{"first": 1}\n```\nand\n```json\n{"last": 1}\n```', {"last": 1}),
        ('```json\n{"early": 1}\n```\nMore text.', {}),
        ("```json\n[1]\n```", {}),
        ("```json\n{broken\n```", {}),
        ('```\n{"a": 1}\n```', {}),
    ],
)
def test_a_json_object_at_the_end_becomes_part_of_the_result(text: str, data: dict[str, Any]) -> None:
    assert parse_result(text) == {**data, "summary": text}


def test_the_summary_is_the_final_text_or_the_last_partial_text() -> None:
    assert summary(RunEnd(ResultMessage(result=" Done. "), "held")) == "Done."
    assert summary(RunEnd(ResultMessage(result=""), "held")) == "held"
    assert summary(RunEnd(ResultMessage(is_error=True, result="API Error"), "held")) == "held"
    assert summary(RunEnd()) == ""


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
    result = find_changed_files(root, before, written, WorkLimit(60))
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
    found = find_changed_files(tmp_path, before, [], WorkLimit(60))
    assert [artifact.path for artifact in found.artifacts] == ["made.txt"]


def test_a_search_without_time_lists_what_it_can_and_says_so(tmp_path: Path) -> None:
    before = take_snapshot(tmp_path, WorkLimit(60))
    for name in ("empty.txt", "written.txt"):
        (tmp_path / name).write_text(name if name == "written.txt" else "")
    found = find_changed_files(tmp_path, before, ["written.txt"], WorkLimit(0))
    assert found.artifacts == ()
    assert ["written.txt" in warning for warning in found.warnings] == [True, False]


def test_small_files_are_listed_before_large_ones(tmp_path: Path) -> None:
    before = take_snapshot(tmp_path, WorkLimit(60))
    for name, size in (("a", 60), ("b", 50), ("c", 40), ("written", 45)):
        (tmp_path / name).write_bytes(bytes(size))
    found = find_changed_files(tmp_path, before, ["written"], WorkLimit(60), max_bytes=100)
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
    found = find_changed_files(tmp_path, before, [], WorkLimit(60))
    assert [artifact.path for artifact in found.artifacts] == [
        "a" * 250, "local.txt", "sub/deeper/kept.log", "sub/kept.log", "sub/top.txt",
    ]  # fmt: skip


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


def test_directories_of_dead_servers_are_removed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    for name in (f"run-{process.pid}-abc", f"run-{os.getpid()}-abc", "run-x-abc", "other"):
        (tmp_path / name).mkdir()
    remove_stale_directories(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", f"run-{os.getpid()}-abc", "run-x-abc"]


def test_the_prompt_contains_task_and_context() -> None:
    assert build_prompt(SPEC) == "<task>\nCount.\n</task>"
    spec = TaskSpec("t", "Count.", Path(), "m", context={"project": "é", "path": Path("x")})
    expected = '<task>\nCount.\n</task>\n<context>\n{"project": "é", "path": "x"}\n</context>'
    assert build_prompt(spec) == expected


def test_agents_get_only_tools_that_the_task_has() -> None:
    spec = TaskSpec("t", "d", Path(), "m", tools=("Read", "Write"), agents=agents.AGENTS, skills=agents.SKILLS)
    options = build_options(spec, Path("/bin/false"), print)
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
