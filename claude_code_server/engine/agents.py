"""Agents and skills that tasks may use besides tools."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import attrs

PLUGIN = Path(__file__).parent / "plugin"
"""Directory of the skills, in the form of a Claude Code plugin."""
PLUGIN_NAME = "claude-code-api"


@attrs.frozen
class Agent:
    """Definition of a subagent."""

    description: str
    """Purpose of the agent, for the model that decides when to use it."""
    prompt: str
    tools: tuple[str, ...]
    """Tools that the agent may use if the task may use them too."""

    def tools_within(self, allowed: Iterable[str]) -> list[str]:
        """Return the agent's tools that are also in ``allowed``."""
        permitted = set(allowed)
        return [tool for tool in self.tools if tool in permitted]


_READ_ONLY = ("Read", "Grep", "Glob", "Bash")

_AGENTS = {
    "security-auditor": Agent(
        description="Audits code for security weaknesses and reports them by severity. Changes nothing.",
        prompt="""You audit code for security weaknesses. You read and report; you change nothing.

Follow untrusted input from where it enters (requests, files, environment, command lines, messages) to
where it does harm: command and query building, path joins, deserialisation, templates, redirects,
outgoing requests. Check authentication and authorisation of each entry point, secrets in code and logs,
cryptography that is home-made or outdated, randomness, file permissions, races, and limits that are
missing.

Report only what you have seen in the code. For each finding give: severity (critical, high, medium,
low), `path:line`, what an attacker does and gains, the evidence in a line or two of code, and the
smallest fix. Say how sure you are when the path from input to harm is not complete. List what you looked
at and what you did not.""",
        tools=_READ_ONLY,
    ),
    "code-analyzer": Agent(
        description="Reads code and finds bugs, or explains how it is built and behaves. Changes nothing.",
        prompt="""You analyse code. You read and report; you change nothing.

Start from what was asked, find the entry points, and read the code that matters in full rather than in
excerpts. When looking for bugs, test each suspicion against the code: which input, which state, which
order of events makes it fail, and what happens then. Look at boundaries, empty and huge inputs, errors
that are swallowed, resources that are not released, shared state, time and encodings, and promises that
callers rely on.

Report findings with `path:line`, the failing case, the consequence and the smallest fix, worst first.
Keep what you have verified apart from what you suspect. When asked how something works, describe the
parts, who calls whom, and where the state lives, with references.""",
        tools=_READ_ONLY,
    ),
    "documentation-generator": Agent(
        description="Writes documentation in Markdown from the code: overviews, API references, guides.",
        prompt="""You write documentation from code.

Read the code first, and the documentation that exists, so that names, style and place fit. Describe what
the code does, not what it seems meant to do: signatures, parameters with types, units and defaults,
results, errors raised, side effects, and one short example for each thing a reader will call first.
Leave out what the reader can see at a glance. Use plain words and short sentences.

If you can write files, write Markdown where the task says, or else beside the code under a name that
tells what it documents, and answer with its path and a summary. If you cannot, answer with the document
itself. Say what you could not find out instead of inventing it.""",
        tools=("Read", "Grep", "Glob", "Write", "Edit"),
    ),
}

AGENTS: tuple[str, ...] = tuple(_AGENTS)
"""Names for ``TaskSpec.agents``."""
SKILLS: tuple[str, ...] = ("semantic-text-matcher",)
"""Names for ``TaskSpec.skills``."""


def agent_definition(name: str) -> Agent:
    """Return the definition of an agent. Raise KeyError for a name that is not in AGENTS."""
    return _AGENTS[name]


def qualified_skill_name(skill: str) -> str:
    """Return the name of a skill in Claude Code."""
    return f"{PLUGIN_NAME}:{skill}"
