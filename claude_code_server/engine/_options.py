"""What Claude Code is started with for one task. Pure, but for the import."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from claude_code_server.engine import agents
from claude_code_server.engine.base import Order

if TYPE_CHECKING:
    from collections.abc import Callable

    from claude_agent_sdk import ClaudeAgentOptions

_MAX_MESSAGE_BYTES = 20_000_000
_RULES = """You run unattended, behind an API: nobody sees intermediate text or can answer a question. When \
something is unclear, take the most likely reading, say which, and go on. Work inside the current directory.

The request comes in <task>, and data that belongs to it, if any, as JSON in <context>. Your last message is \
the result that the caller gets: lead with the answer, name the files you created or changed, and report \
what failed. When the task asks for findings or figures that a program will use, end with one JSON object in \
a ```json fence."""


def prompt(order: Order) -> str:
    """What the model is told of the order."""
    told = f"<task>\n{order.description}\n</task>"
    if not order.context:
        return told
    return f"{told}\n<context>\n{json.dumps(order.context, ensure_ascii=False, default=str)}\n</context>"


def tools(order: Order) -> list[str]:
    """The tools that the run has, those that reach agents and skills included."""
    reaching = [name for name, asked in (("Agent", order.agents), ("Skill", order.skills)) if asked]
    return [*dict.fromkeys(order.tools), *reaching]


def options(order: Order, command: Path, stderr: "Callable[[str], None]") -> "ClaudeAgentOptions":
    from claude_agent_sdk import AgentDefinition, ClaudeAgentOptions

    offered = tools(order)
    definitions = {name: agents.agent(name) for name in order.agents}
    return ClaudeAgentOptions(
        cli_path=command,
        cwd=order.working_directory,
        model=order.model,
        system_prompt={"type": "preset", "preset": "claude_code", "append": _RULES},
        tools=offered,
        allowed_tools=[name for name in offered if name != "Skill"],
        disallowed_tools=["Agent(fork)"],
        permission_mode="dontAsk",
        agents={
            name: AgentDefinition(
                description=one.description,
                prompt=one.prompt,
                tools=one.tools_within(order.tools),
                model="inherit",
            )
            for name, one in definitions.items()
        },
        skills=[agents.qualified(name) for name in order.skills],
        plugins=[{"type": "local", "path": str(agents.PLUGIN)}] if order.skills else [],
        setting_sources=[],
        strict_mcp_config=True,
        verbatim_prompts=True,
        max_buffer_size=_MAX_MESSAGE_BYTES,
        extra_args={"restricted": None, "no-session-persistence": None},
        stderr=stderr,
    )
