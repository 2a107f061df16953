"""Capabilities: the tools, agents and skills that requests may name, with descriptions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from ..domain.permissions import Permissions, matches, permitted
from ..domain.settings import Settings
from ..engine.agent_library import AgentLibrary
from ..engine.tools import TOOLS

_TOOL_DESCRIPTIONS: Final = {
    "Bash": "Run a shell command.",
    "Edit": "Replace text in a file.",
    "Glob": "Find files by name.",
    "Grep": "Search file contents by pattern.",
    "NotebookEdit": "Edit a cell of a Jupyter notebook.",
    "Read": "Read a file.",
    "TaskCreate": "Add a step to the agent's own to-do list.",
    "TaskGet": "Show a step of the to-do list.",
    "TaskList": "Show the to-do list.",
    "TaskUpdate": "Change a step of the to-do list.",
    "WebFetch": "Fetch a web page.",
    "WebSearch": "Search the web.",
    "Write": "Write a file.",
}


@attrs.frozen
class Capability:
    """A tool, agent or skill."""

    name: str
    description: str


def list_tools(settings: Settings, permissions: Permissions) -> Iterator[Capability]:
    """Return the tools that the settings and a key permit."""
    for name in permitted(permissions.tools, TOOLS):
        if settings.tools is None or name in settings.tools:
            yield Capability(name, _TOOL_DESCRIPTIONS.get(name, ""))


def list_agents(library: AgentLibrary, permissions: Permissions) -> Iterator[Capability]:
    """Return the agents that a key permits."""
    for name, agent in library.agents().items():
        if matches(permissions.agents, name):
            yield Capability(name, agent.description)


def list_skills(library: AgentLibrary, permissions: Permissions) -> Iterator[Capability]:
    """Return the skills that a key permits, with the descriptions in their files."""
    for name, skill in library.skills().items():
        if matches(permissions.skills, name):
            yield Capability(name, skill.description)
