"""Tasks on the real Claude Code: permissions, prompts, events and results."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from support.servers.claude_code_bench import KEY, Event, bench, run_task
from support.servers.messages_endpoint import Failure, message, thinking, tool

from claude_code_server.domain.usage import Usage
from claude_code_server.engine.agents import AGENTS, SKILLS
from claude_code_server.engine.tools import DEFAULT_TOOLS, TOOLS

pytestmark = pytest.mark.slow


def files_holding(text: str, root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_a_task_has_events_result_artifacts_and_usage(tmp_path: Path) -> None:
    script = [
        message(thinking("Hm."), "Let me count.", tool("Bash", command="ls src | wc -l; echo made > made.txt")),
        message(tool("Write", file_path="docs/api.md", content="# API\n"), cache_read_input_tokens=50),
        message('Two files.\n```json\n{"count": 2}\n```'),
    ]

    async def main() -> None:
        async with bench(tmp_path, script) as made:
            (made.workspace / "src").mkdir()
            for name in ("a.py", "b.py"):
                (made.workspace / "src" / name).touch()
            run = await made.run(made.spec(description="Count files.", context={"project": "x"}))
            assert [event["type"] for event in run.events] == [
                "thinking", "thinking", "tool_call", "tool_result", "tool_call", "tool_result",
            ]  # fmt: skip
            call, result = run.of("tool_call")[0], run.of("tool_result")[0]
            assert call["tool"] == "Bash"
            assert call["arguments"]["command"].startswith("ls src")
            assert (result["call_id"], result["tool"], result["status"]) == (call["call_id"], "Bash", "success")
            assert result["result"].strip() == "2"
            end = run.ended
            assert (end.status, end.error) == ("completed", None)
            assert end.summary.startswith("Two files.")
            assert end.result == {"count": 2, "summary": end.summary}
            assert [artifact.path for artifact in end.artifacts] == ["docs/api.md", "made.txt"]
            assert end.artifacts[0].size_bytes == len("# API\n")
            assert end.artifacts[0].sha256 == hashlib.sha256(b"# API\n").hexdigest()
            expected = (300 * 0.10 + 50 * 0.01 + 60 * 0.50) / 1_000_000
            assert end.usage == Usage(350, 60, end.usage.cost)
            assert end.usage.cost == pytest.approx(expected)
            assert run.usages[-1] == end.usage
            assert [usage.input_tokens for usage in run.usages] == sorted(usage.input_tokens for usage in run.usages)
            prompt = json.dumps(made.endpoint.requests[0].body["messages"])
            assert "<task>\\nCount files.\\n</task>\\n<context>" in prompt
            assert made.endpoint.requests[0].body["model"] == "claude-haiku-5-5"

    asyncio.run(main())


def test_the_agent_has_no_access_to_the_servers_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"):
        monkeypatch.setenv(name, KEY)
    for name in ("ANTHROPIC_CUSTOM_HEADERS", "CLAUDE_CONFIG_DIR", "HTTPS_PROXY", "no_proxy", "MY_SECRET"):
        monkeypatch.setenv(name, "server-canary")
    ancestors = "cat /proc/$PPID/environ /proc/$(ps -o ppid= -p $PPID | tr -d ' ')/environ | tr '\\0' '\\n'"
    script = [message(tool("Bash", command=f"env; {ancestors}")), message("Done.")]

    async def main() -> None:
        async with bench(tmp_path, script) as made:
            leaks: list[Path] = []

            def look(_: Event) -> None:
                leaks.extend(files_holding(KEY, made.state) + files_holding("prompt-canary", made.state))

            run = await made.run(made.spec(description="prompt-canary"), on_event=look)
            environment = run.of("tool_result")[0]["result"]
            assert KEY not in environment
            assert "server-canary" not in environment
            assert "ANTHROPIC_API_KEY=sk-task-" in environment
            assert f"ANTHROPIC_BASE_URL={made.proxy.base_url}" in environment
            assert f"HOME={made.state}/run-" in environment
            assert run.ended.status == "completed"
            assert leaks == []
            assert list(made.state.iterdir()) == []
            # Its requests went through the proxy with the real key, and its own key went no further.
            assert made.endpoint.requests[0].headers["x-api-key"] == KEY
            assert "sk-task-" not in json.dumps([request.headers for request in made.endpoint.requests])

    asyncio.run(main())


def test_only_listed_tools_run_and_only_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("outside-canary")
    script = [
        message(tool("Bash", command="echo ran > ran.txt")),
        message(tool("Read", file_path=str(tmp_path / "outside.txt"))),
        message(tool("Read", file_path="link.txt")),
        message(tool("Write", file_path=str(tmp_path / "written.txt"), content="x")),
        message(tool("Agent", subagent_type="general-purpose", description="x", prompt="x")),
        message(tool("Skill", skill="dataviz")),
        message("Refused."),
    ]

    async def main() -> None:
        async with bench(tmp_path, script) as made:
            (made.workspace / "link.txt").symlink_to(tmp_path / "outside.txt")
            run = await made.run(made.spec(tools=("Read", "Write")))
            assert [event["status"] for event in run.of("tool_result")] == ["error"] * 6
            assert "outside-canary" not in json.dumps(run.events)
            assert run.ended.artifacts == ()
            assert not (tmp_path / "written.txt").exists()
            assert not (made.workspace / "ran.txt").exists()
            offered = [one["name"] for one in made.endpoint.requests[0].body["tools"]]
            assert sorted(offered) == ["Read", "Write"]

    asyncio.run(main())


def test_prompt_and_workspace_are_neither_expanded_nor_executed(tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("outside-canary")

    async def main() -> None:
        async with bench(tmp_path, [message(tool("Read", file_path="other.txt")), message("Done.")]) as made:
            (made.workspace / "inside.txt").write_text("inside-canary")
            (made.workspace / "CLAUDE.md").write_text("memory-canary")
            (made.workspace / ".claude").mkdir()
            hook = {"type": "command", "command": f"touch {tmp_path}/hooked"}
            settings = {"hooks": {"UserPromptSubmit": [{"hooks": [hook]}], "SessionStart": [{"hooks": [hook]}]}}
            (made.workspace / ".claude" / "settings.json").write_text(json.dumps(settings))
            server = {"mcpServers": {"x": {"command": "touch", "args": [f"{tmp_path}/served"]}}}
            (made.workspace / ".mcp.json").write_text(json.dumps(server))
            description = f"/compact @{tmp_path}/outside.txt @inside.txt @/etc/hostname"
            run = await made.run(made.spec(description=description))
            assert run.ended.status == "completed"
            assert len(made.endpoint.requests) == 2
            for request in made.endpoint.requests:
                assert description in json.dumps(request.body["messages"])
                assert "canary" not in json.dumps(request.body)
            assert not (tmp_path / "hooked").exists()
            assert not (tmp_path / "served").exists()

    asyncio.run(main())


def test_claude_code_offers_every_known_tool_agent_and_skill(tmp_path: Path) -> None:
    run, made = run_task(tmp_path, [message("Ready.")], tools=TOOLS, agents=AGENTS, skills=SKILLS)
    assert run.ended.status == "completed", run.ended.error
    (request,) = made.endpoint.requests
    assert {one["name"] for one in request.body["tools"]} == {*TOOLS, "Agent", "Skill"}
    prompt = json.dumps(request.body["messages"])
    assert not [name for name in (*AGENTS, *SKILLS) if name not in prompt]
    assert "general-purpose" not in prompt
    assert set(DEFAULT_TOOLS) <= set(TOOLS)


def test_agents_and_skills_are_spawned_and_invoked(tmp_path: Path) -> None:
    script = [
        message(tool("Agent", subagent_type="code-analyzer", description="look", prompt="Look now.")),
        message(tool("Bash", command="echo in the agent")),
        message(tool("Write", file_path="x.txt", content="x")),
        message("Nothing found."),
        message(tool("Skill", skill="semantic-text-matcher", args="a in b")),
        message(tool("Agent", subagent_type="security-auditor", description="look", prompt="Look.")),
        message(tool("Agent", subagent_type="fork", description="look", prompt="Look.")),
        message("All done."),
    ]
    run, made = run_task(tmp_path, script, agents=("code-analyzer",), skills=SKILLS)
    assert run.ended.summary == "All done."
    assert run.ended.usage.input_tokens == 100 * len(script)
    assert [event["agent"] for event in run.of("agent_spawn")] == ["code-analyzer", "security-auditor", "fork"]
    assert run.of("agent_spawn")[0]["reason"] == "look"
    (invoked,) = run.of("skill_invoke")
    assert (invoked["skill"], invoked["input"]) == ("semantic-text-matcher", "a in b")
    results = [(event["tool"], event["status"]) for event in run.of("tool_result")]
    assert results == [
        ("Bash", "success"),
        ("Write", "error"),  # The analyzer has no such tool, though the task does.
        ("Agent", "success"),
        ("Skill", "success"),
        ("Agent", "error"),
        ("Agent", "error"),
    ]
    assert run.of("tool_result")[2]["result"] == "Nothing found."
    assert "Match by meaning" in json.dumps(made.endpoint.requests[5].body["messages"])


def test_unknown_names_fail_before_claude_code_starts(tmp_path: Path) -> None:
    async def main() -> None:
        async with bench(tmp_path, []) as made:
            for kind, name in (("tools", "Teleport"), ("tools", "Agent"), ("agents", "fork"), ("skills", "dataviz")):
                end = (await made.run(made.spec(**{kind: (name,)}))).ended
                assert end.status == "failed"
                assert end.error is not None
                assert end.error[0] == "invalid_request_error"
                assert name in end.error[1]
                assert "; available: " in end.error[1]
            assert made.endpoint.requests == []

    asyncio.run(main())


@pytest.mark.parametrize(
    ("failure", "type", "text", "calls"),
    [
        (Failure(401, "authentication_error", "invalid x-api-key"), "authentication_error", "invalid x-api-key", 1),
        pytest.param(
            Failure(529, "overloaded_error", "Overloaded"), "overloaded_error", "Overloaded", 3, marks=pytest.mark.long
        ),
    ],
)
def test_a_failing_model_fails_the_task(tmp_path: Path, failure: Failure, type: str, text: str, calls: int) -> None:
    run, made = run_task(tmp_path, lambda _: failure)
    assert run.ended.status == "failed"
    assert run.ended.error is not None
    assert run.ended.error[0] == type
    assert text in run.ended.error[1]
    assert run.ended.summary == ""
    assert len(made.endpoint.requests) == calls


def test_a_budget_ends_the_task_before_the_next_call(tmp_path: Path) -> None:
    def as_long_as_possible(body: dict[str, Any]) -> dict[str, Any]:
        return message("First.", tool("Bash", command="true"), output_tokens=body["max_tokens"])

    run, made = run_task(tmp_path, as_long_as_possible, max_cost=0.003)
    end = run.ended
    assert end.status == "cost_exceeded"
    assert end.error is not None
    assert end.error[0] == "cost_exceeded_error"
    assert "$0.003" in end.error[1]
    assert end.usage.cost <= 0.003
    granted = [request.body["max_tokens"] for request in made.endpoint.requests]
    assert granted[0] < 0.003 / 0.50e-6, "what is left after the prompt, which may be written to the cache"
    assert end.usage.output_tokens == sum(granted)
    assert granted == sorted(granted, reverse=True)


def test_concurrent_tasks_are_isolated(tmp_path: Path) -> None:
    def respond(body: dict[str, Any]) -> dict[str, Any]:
        prompt = json.dumps(body["messages"])
        name = "one" if "Task one." in prompt else "two"
        if "tool_result" not in prompt:
            return message(tool("Write", file_path=f"{name}.txt", content=name))
        return message(f"Wrote {name}.", input_tokens=1 if name == "one" else 2)

    async def main() -> None:
        async with bench(tmp_path, respond) as made:
            specs = []
            for name in ("one", "two"):
                (made.workspace / name).mkdir()
                specs.append(
                    made.spec(
                        task_id=name,
                        description=f"Task {name}.",
                        working_directory=made.workspace / name,
                        model="some-local-model",
                    )
                )
            runs = await asyncio.gather(*map(made.run, specs))
            for run, tokens in zip(runs, (101, 102), strict=True):
                name = run.spec.task_id
                assert run.ended.summary == f"Wrote {name}."
                assert [artifact.path for artifact in run.ended.artifacts] == [f"{name}.txt"]
                assert run.ended.usage == Usage(tokens, 40, 0.0)

    asyncio.run(main())
