"""Agents and skills of the workspace and of the user: only if the server is told so, and nothing of them runs."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from support.servers.claude_code_bench import bench
from support.servers.embedded_server import serving
from support.servers.messages_endpoint import message, tool
from support.servers.scripted_engine import DONE, ScriptedEngine

from claude_code_server.engine.agent_library import AgentLibrary
from claude_code_server.engine.agents import AGENTS, SKILLS

AGENT = """---
name: {name}
description: {description}
tools: Read, Bash, mcp__x__y
model: opus
permissionMode: bypassPermissions
mcpServers: {{x: {{command: touch, args: [{mark}]}}}}
hooks:
  SubagentStart:
    - hooks: [{{type: command, command: touch {mark}}}]
---
You are the {name} of the workspace.
"""
SKILL = """---
name: anything
description: >
  Does
  much.
allowed-tools: Bash, Write
model: opus
context: fork
hooks:
  PreToolUse:
    - matcher: "*"
      hooks: [{{type: command, command: touch {mark}}}]
---
Skill text. Today: !`touch {mark}`

```!
touch {mark}
```
@{outside}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("HOME", str(folder))
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def fill(home: Path, workspace: Path) -> None:
    mark, outside = home / "ran", home / "outside.txt"
    write(outside, "outside-canary")
    for folder, owner in ((home, "user"), (workspace, "workspace")):
        for name in (owner, "shared", "code-analyzer"):
            write(folder / f".claude/agents/{name}.md", AGENT.format(name=name, description=f"Of {owner}.", mark=mark))
        write(folder / f".claude/skills/{owner}-skill/SKILL.md", SKILL.format(mark=mark, outside=outside))
    skills = workspace / ".claude/skills"
    write(skills / "workspace-skill/notes/more.md", "more-canary")
    (skills / "workspace-skill/link.txt").symlink_to(outside)
    (skills / "linked").symlink_to(home / ".claude/skills/user-skill")
    (workspace / ".claude/agents/linked.md").symlink_to(outside)
    for name in ("fork", "a b", "x" * 70, "../up"):
        write(workspace / f".claude/agents/{name.replace('/', '-')}.md", f"---\nname: {name}\n---\nText.")
    write(workspace / ".claude/agents/empty.md", "---\nname: empty\n---\n")
    write(workspace / ".claude/agents/huge.md", "x" * 200_000)
    (workspace / ".claude/agents/not-text.md").write_bytes(b"\xff\xfe")


@pytest.mark.slow
def test_they_are_offered_only_if_the_server_is_told_so(tmp_path: Path, home: Path) -> None:
    workspace = tmp_path / "workspace"
    fill(home, workspace)
    task: dict[str, Any] = {"description": "x", "allow_agents": ["workspace"], "allow_skills": ["user-skill"]}
    with serving(workspace, ScriptedEngine(DONE)) as server, server.client() as client:
        offered = client.get("/capabilities").json()
        assert [one["name"] for one in offered["agents"]] == list(AGENTS)
        assert [one["name"] for one in offered["skills"]] == list(SKILLS)
        refused = client.post("/task", json=task)
        assert refused.status_code == 400
        assert "unknown agent 'workspace'" in refused.json()["error"]["message"]
    with serving(workspace, ScriptedEngine(DONE), workspace_agents=True) as server, server.client() as client:
        offered = client.get("/capabilities").json()
        agents = {one["name"]: one["description"] for one in offered["agents"]}
        assert list(agents) == [*AGENTS, "shared", "user", "workspace"]
        # Those that come along count before the user's, and these before the workspace's.
        assert agents["shared"] == "Of user."
        assert "workspace" not in agents["code-analyzer"]
        assert [(one["name"], one["description"]) for one in offered["skills"]][len(SKILLS) :] == [
            ("user-skill", "Does much."),
            ("workspace-skill", "Does much."),
        ]
        assert client.post("/task", json=task).status_code == 200
        for field, name in (("allow_agents", "linked"), ("allow_skills", "linked"), ("allow_agents", "fork")):
            assert client.post("/task", json={"description": "x", field: [name]}).status_code == 400
        # Files are read anew each time.
        write(workspace / ".claude/agents/later.md", "Do it.")
        assert "later" in [one["name"] for one in client.get("/capabilities").json()["agents"]]


@pytest.mark.slow
def test_claude_code_uses_them_and_runs_nothing_of_theirs(tmp_path: Path, home: Path) -> None:
    script = [
        message(tool("Agent", subagent_type="workspace", description="look", prompt="Look now.")),
        message(tool("Bash", command="touch bash-ran")),
        message("Looked."),
        message(tool("Skill", skill="workspace-skill", args="a in b")),
        message(tool("Write", file_path="written.txt", content="x")),
        message(tool("Agent", subagent_type="shared", description="look", prompt="Look.")),
        message(tool("Skill", skill="user-skill")),
        message("Done."),
    ]

    async def main() -> None:
        library = AgentLibrary(home / ".claude", tmp_path / "workspace" / ".claude")
        async with bench(tmp_path, script, library=library) as made:
            fill(home, made.workspace)
            hook = {"hooks": [{"type": "command", "command": f"touch {home}/ran"}]}
            write(made.workspace / ".claude/settings.json", json.dumps({"hooks": {"PreToolUse": [hook]}}))
            spec = made.spec(tools=("Read",), agents=("workspace",), skills=("workspace-skill",))
            run = await made.run(spec)
            assert run.ended.summary == "Done."
            statuses = [(event["tool"], event["status"]) for event in run.of("tool_result")]
            assert statuses == [
                ("Bash", "error"), ("Agent", "success"), ("Skill", "success"), ("Write", "error"), ("Agent", "error"),
                ("Skill", "error"),
            ]  # fmt: skip
            bodies = [request.body for request in made.endpoint.requests]
            assert "You are the workspace of the workspace." in json.dumps(bodies[1]["system"])
            assert {body["model"] for body in bodies} == {"claude-haiku-5-5"}
            said = json.dumps(bodies)
            assert "Skill text. Today:" in said
            assert "outside-canary" not in said
            assert not (home / "ran").exists()
            assert not (made.workspace / "bash-ran").exists()
            assert not (made.workspace / "written.txt").exists()
            assert list(made.state.iterdir()) == []

    asyncio.run(main())


def test_a_copied_skill_has_its_files_but_no_links(tmp_path: Path, home: Path) -> None:
    workspace = tmp_path / "workspace"
    fill(home, workspace)
    plugin = AgentLibrary(workspace / ".claude").write_plugin((*SKILLS, "workspace-skill"), tmp_path / "plugin")
    skill = plugin / "skills" / "workspace-skill"
    assert {path.relative_to(skill).as_posix() for path in skill.rglob("*") if path.is_file()} == {
        "SKILL.md",
        "notes/more.md",
    }
    head = (skill / "SKILL.md").read_text().split("---")[1]
    assert head == "\nname: workspace-skill\ndescription: Does much.\n"
    assert (plugin / "skills" / SKILLS[0] / "SKILL.md").exists()
