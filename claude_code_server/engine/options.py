"""Options and prompt with which Claude Code starts for one task. No I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..domain.engine_protocol import TaskSpec
from .agents import Agent, qualified_skill_name

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeAgentOptions

_MAX_MESSAGE_BYTES: Final = 20_000_000
_SETTINGS: Final = '{"disableSkillShellExecution": true, "disableAllHooks": true}'
_RULES: Final = """You run unattended, behind an API: nobody sees intermediate text or can answer a question. When \
something is unclear, take the most likely reading, say which, and go on. Work inside the current directory.

The request comes in <task>, and data that belongs to it, if any, as JSON in <context>. Your last message is \
the result that the caller gets: lead with the answer, name the files you created or changed, and report \
what failed. When the task asks for findings or figures that a program will use, end with one JSON object in \
a ```json fence."""


def build_prompt(spec: TaskSpec) -> str:
    """Return the prompt for a task."""
    prompt = f"<task>\n{spec.description}\n</task>"
    context = {name: value for name, value in spec.context.items() if name != "result_schema" or value is None}
    if not context:
        return prompt
    return f"{prompt}\n<context>\n{json.dumps(context, ensure_ascii=False, default=str)}\n</context>"


def tool_names(spec: TaskSpec) -> list[str]:
    """Return the tools of the run, including those that start agents and skills."""
    extra = [name for name, used in (("Agent", spec.agents), ("Skill", spec.skills)) if used]
    return [*dict.fromkeys(spec.tools), *extra]


def build_options(
    spec: TaskSpec,
    command: Path,
    stderr: Callable[[str], None],
    agents: Mapping[str, Agent] | None = None,
    plugin: Path | None = None,
) -> ClaudeAgentOptions:
    """Return the SDK's options.

    ``command`` starts Claude Code, ``stderr`` receives its standard error by line. ``agents`` are definitions of the
    task's agents, ``plugin`` is the folder with its skills.
    """
    from claude_agent_sdk import AgentDefinition, ClaudeAgentOptions

    tools = tool_names(spec)
    return ClaudeAgentOptions(
        cli_path=command,
        cwd=spec.working_directory,
        model=spec.model,
        system_prompt={"type": "preset", "preset": "claude_code", "append": _RULES},
        tools=tools,
        allowed_tools=[name for name in tools if name != "Skill"],
        disallowed_tools=["Agent(fork)"],
        permission_mode="dontAsk",
        agents={
            name: AgentDefinition(
                description=agent.description,
                prompt=agent.prompt,
                tools=agent.tools_within(spec.tools),
                model="inherit",
            )
            for name, agent in (agents or {}).items()
        },
        skills=[qualified_skill_name(name) for name in spec.skills],
        plugins=[{"type": "local", "path": str(plugin)}] if plugin else [],
        # No file of a skill runs a command just because the skill is loaded.
        settings=_SETTINGS,
        setting_sources=[],
        strict_mcp_config=True,
        verbatim_prompts=True,
        output_format=None if spec.result_schema is None else {"type": "json_schema", "schema": spec.result_schema},
        max_buffer_size=_MAX_MESSAGE_BYTES,
        extra_args={"restricted": None, "no-session-persistence": None},
        stderr=stderr,
    )
